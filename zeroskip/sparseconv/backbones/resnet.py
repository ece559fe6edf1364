"""Encoders, as torchsparse.backbones.resnet has them."""

from zeroskip.model.sparseconv.backbones import SparseResNet, SparseResNet21D

__all__ = ["SparseResNet", "SparseResNet21D"]
