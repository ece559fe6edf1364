"""Settings for the built-in data sets, chosen on images held out from their training sets."""

from dataclasses import replace

from zeroskip.model.pruning.recipe import Settings
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
) -> Settings:
    return Settings(
        density=density,
        rounds=rounds,
        dense=dense,
        # A tenth of the rate, and L2, as Han et al. (NeurIPS 2015, section 3) found best for LeNet.
        retrain=replace(dense, epochs=retrain_epochs, learning_rate=dense.learning_rate / 10),
        # A centroid's gradient sums over hundreds of weights: Adam makes the rate independent of how many.
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
    # Batches this small lose more to handing work between threads than they gain.
    threads=1,
)
"""For `digits_mlp`: a twelfth of the weights stays."""

FASHION_MNIST = _settings(
    density=1 / 13.5,
    rounds=5,
    dense=TrainingSettings(epochs=20, learning_rate=0.1, weight_decay=2e-4, batch_size=128),
    retrain_epochs=5,
    share_epochs=4,
    share_rate=5e-4,
    threads=2,
)
"""For `lenet_300_100`: one weight in 13.5 stays."""


LENET_5 = _settings(
    # The few weights of the convolutions bear most of the work: Han et al. (NeurIPS 2015, table 4) spare them too.
    density=(0.66, 0.2, 0.07, 0.25),
    rounds=2,
    dense=TrainingSettings(epochs=5, learning_rate=0.05, weight_decay=2e-4, batch_size=128),
    retrain_epochs=2,
    share_epochs=1,
    share_rate=5e-4,
    threads=2,
)
"""For `lenet_5`: one weight in twelve stays."""


def user_settings(*, density: float, epochs: int, learning_rate: float) -> Settings:
    """For a network of the user's: `epochs` of dense training, then pruning in rounds that retrain at a tenth of the
    rate."""
    return _settings(
        density=density,
        rounds=5,
        dense=TrainingSettings(epochs=epochs, learning_rate=learning_rate, weight_decay=2e-4, batch_size=64),
        retrain_epochs=5,
        share_epochs=4,
        share_rate=5e-4,
        threads=1,
    )
