"""Backbones, as torchsparse.backbones has them."""

from zeroskip.model.sparseconv.backbones import SparseResNet21D, SparseResUNet42
from zeroskip.sparseconv.backbones import modules, resnet, unet

__all__ = ["SparseResNet21D", "SparseResUNet42", "modules", "resnet", "unet"]
