"""`cat`, as torchsparse.operators has it."""

from zeroskip.model.sparseconv.operators import cat

__all__ = ["cat"]
