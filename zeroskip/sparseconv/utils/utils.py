"""One number for every axis, or one for each, as torchsparse.utils.utils has it."""

from zeroskip.model.sparseconv.tuples import make_divisible, make_ntuple, make_tensor

__all__ = ["make_divisible", "make_ntuple", "make_tensor"]
