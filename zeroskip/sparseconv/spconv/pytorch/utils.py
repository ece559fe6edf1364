"""Where spconv has its voxel generator, which is missing here."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "PointToVoxel":
        raise ImportError(
            "PointToVoxel is not part of zeroskip.sparseconv: use zeroskip.sparseconv.utils.quantize.sparse_quantize "
            "for the voxels of points, and nn.functional.spvoxelize for their mean features"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
