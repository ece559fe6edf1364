"""Convolutions, as torchsparse.nn.modules.conv has them."""

from zeroskip.model.sparseconv.nn import Conv1d, Conv2d, Conv3d, Conv4d

__all__ = ["Conv1d", "Conv2d", "Conv3d", "Conv4d"]
