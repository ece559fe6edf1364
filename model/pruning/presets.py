"""Settings for the built-in data sets, chosen on validation images from their training sets."""

from dataclasses import replace

from zeroskip.model.pruning.defaults import WEIGHT_DECAY
from zeroskip.model.pruning.recipe import PruneAndShareSettings
from zeroskip.model.pruning.training import TrainingSettings


def _settings(
    *,
    density: float | tuple[float, ...],
    rounds: int,
    dense: TrainingSettings,
    retrain_epochs: int,
    share_epochs: int,
    share_rate: float,
    threads: int,
) -> PruneAndShareSettings:
    return PruneAndShareSettings(
        density=density,
        rounds=rounds,
        dense=dense,
        # A tenth of the learning rate, and L2, which Han et al. (NeurIPS 2015, section 3) found best for LeNet.
        retrain=replace(dense, epochs=retrain_epochs, learning_rate=dense.learning_rate / 10),
        # The gradient of a centroid is a sum over hundreds of weights; with Adam the learning rate does not depend on
        # how many.
        share=replace(dense, epochs=share_epochs, learning_rate=share_rate, weight_decay=0, optimizer="adam"),
        threads=threads,
    )


DIGITS = _settings(
    density=1 / 12,
    rounds=8,
    dense=TrainingSettings(epochs=40, learning_rate=0.1, weight_decay=5e-4, batch_size=16),
    retrain_epochs=15,
    share_epochs=10,
    share_rate=1e-3,
    # With such small batches, several threads are slower than one.
    threads=1,
)
"""For `digits_mlp`: a compression ratio of 12."""

FASHION_MNIST = _settings(
    density=1 / 13.5,
    rounds=5,
    dense=TrainingSettings(epochs=20, learning_rate=0.1, weight_decay=2e-4, batch_size=128),
    retrain_epochs=5,
    share_epochs=4,
    share_rate=5e-4,
    threads=2,
)
"""For `lenet_300_100`: a compression ratio of 13.5."""


LENET_5 = _settings(
    # The convolutions have few weights but most of the MACs; Han et al. (NeurIPS 2015, table 4) prune them less too.
    density=(0.66, 0.2, 0.07, 0.25),
    rounds=2,
    dense=TrainingSettings(epochs=5, learning_rate=0.05, weight_decay=2e-4, batch_size=128),
    retrain_epochs=2,
    share_epochs=1,
    share_rate=5e-4,
    threads=2,
)
"""For `lenet_5`: a compression ratio of 12."""


def user_settings(*, density: float, epochs: int, learning_rate: float) -> PruneAndShareSettings:
    """For a user's own network: `epochs` epochs of dense training, then pruning in rounds, with training at a tenth of
    the learning rate after each."""
    return _settings(
        density=density,
        rounds=5,
        dense=TrainingSettings(epochs=epochs, learning_rate=learning_rate, weight_decay=WEIGHT_DECAY, batch_size=64),
        retrain_epochs=5,
        share_epochs=4,
        share_rate=5e-4,
        threads=1,
    )
