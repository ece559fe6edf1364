"""Blocks, as torchsparse.backbones.modules has them."""

from zeroskip.model.sparseconv.backbones import SparseConvBlock, SparseConvTransposeBlock, SparseResBlock

__all__ = ["SparseConvBlock", "SparseConvTransposeBlock", "SparseResBlock"]
