"""Normalisation, as torchsparse.nn.modules.norm has it."""

from zeroskip.model.sparseconv.nn import BatchNorm, GroupNorm, InstanceNorm

__all__ = ["BatchNorm", "GroupNorm", "InstanceNorm"]
