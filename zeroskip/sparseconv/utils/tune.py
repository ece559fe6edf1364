"""Choosing the fastest execution of each layer."""

from zeroskip.model.sparseconv.tuner import tune

__all__ = ["tune"]
