"""U-Nets, as torchsparse.backbones.unet has them."""

from zeroskip.model.sparseconv.backbones import SparseResUNet, SparseResUNet42

__all__ = ["SparseResUNet", "SparseResUNet42"]
