"""The points of each voxel, where spconv has them."""

from zeroskip.model.sparseconv.spconv.point_to_voxel import PointToVoxel, gather_features_by_pc_voxel_id

__all__ = ["PointToVoxel", "gather_features_by_pc_voxel_id"]
