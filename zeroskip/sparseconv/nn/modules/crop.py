"""Cutting out a box, as torchsparse.nn.modules.crop has it."""

from zeroskip.model.sparseconv.nn import SparseCrop

__all__ = ["SparseCrop"]
