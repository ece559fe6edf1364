"""The layer that does nothing, where spconv has it."""

from zeroskip.model.sparseconv.spconv import Identity

__all__ = ["Identity"]
