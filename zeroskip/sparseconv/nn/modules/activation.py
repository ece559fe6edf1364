"""Activations, as torchsparse.nn.modules.activation has them."""

from zeroskip.model.sparseconv.nn import LeakyReLU, ReLU, SiLU

__all__ = ["LeakyReLU", "ReLU", "SiLU"]
