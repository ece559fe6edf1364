"""From points to voxels, as torchsparse.nn.functional.voxelize has it."""

from zeroskip.model.sparseconv.voxels import spvoxelize

__all__ = ["spvoxelize"]
