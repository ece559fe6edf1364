"""Keys of coordinates, as torchsparse.nn.functional.hash has them."""

from zeroskip.model.sparseconv.lookup import sphash

__all__ = ["sphash"]
