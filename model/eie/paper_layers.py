"""The nine benchmark layers of the EIE paper (Han et al., ISCA 2016, Tables III and IV), with random weights.

The paper's own weights and activations were never published. These layers have its sizes and densities; which
weights and activations are zero is random and independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.shared import SharedLayer

CALIBRATION_SAMPLES = 1024
"""Input vectors by which the load of a layer is balanced; it is measured with another."""


@dataclass(frozen=True, kw_only=True)
class PaperLayer:
    """A row of Table III, with the microseconds of Table IV (EIE, 64 PEs at 800 MHz, batch 1)."""

    name: str
    inputs: int
    outputs: int
    weight_density: float
    activation_density: float
    theoretical: float
    actual: float

    def make(self, seed: int) -> tuple[SharedLayer, NDArray[np.float32]]:
        """A layer of these densities without bias, and one input vector (float32, inputs)."""
        # The position in the table gives each layer its own random numbers under one seed.
        rng = np.random.default_rng([seed, PAPER_LAYERS.index(self)])
        codebook = np.zeros(16, np.float32)
        codebook[1:] = rng.normal(scale=0.05, size=15)
        codes = rng.integers(1, 16, (self.outputs, self.inputs), np.uint8)
        codes[rng.random((self.outputs, self.inputs), np.float32) >= self.weight_density] = 0
        layer = SharedLayer(codebook=codebook, weight_codes=codes, bias_codes=None, relu=True)
        return layer, self._activations(rng, 1)[0]

    def calibration(self, seed: int) -> NDArray[np.float32]:
        """CALIBRATION_SAMPLES input vectors (float32, samples x inputs), drawn apart from those of `make`, whatever the
        seeds."""
        return self._activations(np.random.default_rng([seed, PAPER_LAYERS.index(self), 1]), CALIBRATION_SAMPLES)

    def _activations(self, rng: np.random.Generator, samples: int) -> NDArray[np.float32]:
        activations = rng.uniform(0.01, 1.0, (samples, self.inputs)).astype(np.float32)
        activations[rng.random((samples, self.inputs)) >= self.activation_density] = 0
        return activations


def _layer(
    name: str, inputs: int, outputs: int, weights: float, activations: float, times: tuple[float, float]
) -> PaperLayer:
    return PaperLayer(
        name=name,
        inputs=inputs,
        outputs=outputs,
        weight_density=weights,
        activation_density=activations,
        theoretical=times[0],
        actual=times[1],
    )


PAPER_LAYERS = (
    _layer("Alex-6", 9216, 4096, 0.09, 0.351, (28.1, 30.3)),
    _layer("Alex-7", 4096, 4096, 0.09, 0.353, (11.7, 12.2)),
    _layer("Alex-8", 4096, 1000, 0.25, 0.375, (8.9, 9.9)),
    _layer("VGG-6", 25088, 4096, 0.04, 0.183, (28.1, 34.4)),
    _layer("VGG-7", 4096, 4096, 0.04, 0.375, (7.9, 8.7)),
    _layer("VGG-8", 4096, 1000, 0.23, 0.411, (7.3, 8.4)),
    _layer("NT-We", 4096, 600, 0.10, 1.0, (5.2, 8.0)),
    _layer("NT-Wd", 600, 8791, 0.11, 1.0, (13.0, 13.9)),
    _layer("NT-LSTM", 1201, 2400, 0.10, 1.0, (6.5, 7.5)),
)
