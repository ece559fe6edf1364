"""Settings of N:M pruning for the built-in data sets. Use `dataclasses.replace` for another pattern or method.

The training settings are those of the dense networks, as the recipe repeats the dense training.
"""

from typing import Literal

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning import presets
from zeroskip.model.pruning.nm_recipe import NmSettings
from zeroskip.model.pruning.training import TrainingSettings


def _settings(dense: TrainingSettings, threads: int) -> NmSettings:
    return NmSettings(pattern=Pattern(keep=2, group=4), dense=dense, threads=threads)


DIGITS = _settings(presets.DIGITS.dense, presets.DIGITS.threads)
"""For `digits_mlp`."""

FASHION_MNIST = _settings(presets.FASHION_MNIST.dense, presets.FASHION_MNIST.threads)
"""For `lenet_300_100`."""

LENET_5 = _settings(presets.LENET_5.dense, presets.LENET_5.threads)
"""For `lenet_5`."""


def user_settings(
    *,
    pattern: Pattern,
    epochs: int,
    learning_rate: float,
    method: Literal["magnitude", "sr-ste"] = "magnitude",
    permute: bool = False,
) -> NmSettings:
    """For a user's own network: `epochs` epochs of dense training, and as many after pruning."""
    dense = presets.user_settings(density=1.0, epochs=epochs, learning_rate=learning_rate).dense
    return NmSettings(pattern=pattern, dense=dense, threads=1, method=method, permute=permute)
