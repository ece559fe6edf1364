"""The tensors, as torchsparse.tensor has them."""

from zeroskip.model.sparseconv.points import PointTensor
from zeroskip.model.sparseconv.tensor import SparseTensor

__all__ = ["PointTensor", "SparseTensor", "get_allow_negative_coordinates", "set_allow_negative_coordinates"]


def get_allow_negative_coordinates() -> bool:
    """True: negative coordinates are right here without a setting."""
    return True


def set_allow_negative_coordinates(allow_negative_coordinates: bool) -> None:
    """Changes nothing: negative coordinates are always allowed. torchsparse drops their outputs unless this is set."""
