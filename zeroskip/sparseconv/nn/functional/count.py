"""Points of each voxel, as torchsparse.nn.functional.count has them."""

from zeroskip.model.sparseconv.lookup import spcount

__all__ = ["spcount"]
