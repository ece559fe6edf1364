"""From voxels to points, as torchsparse.nn.functional.devoxelize has it."""

from zeroskip.model.sparseconv.voxels import calc_ti_weights, spdevoxelize

__all__ = ["calc_ti_weights", "spdevoxelize"]
