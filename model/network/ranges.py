"""How large the activations of a float network are."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeroskip.model.network.folded import Folded
from zeroskip.model.network.lower import lower
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.operations import Recurrence
from zeroskip.model.network.subset import chosen
from zeroskip.model.progress import Progress, Step, silent

SAMPLES = 256
"""At most this many samples, taken by chance with a fixed seed, are looked at."""

_BATCH = 64


def input_magnitudes(folded: Folded, inputs: NDArray[np.float32], progress: Progress = silent) -> list[Magnitudes]:
    """The magnitudes of what each operation of a folded network (zeroskip.model.network.fold) takes, for `inputs`
    (samples x ...). Raises ValueError if their shape does not fit the network, or where they overflow in it."""
    lower(folded.operations, inputs.shape[1:])
    samples = inputs[chosen(len(inputs), SAMPLES)]
    found = [Magnitudes.of() for _ in folded.operations]

    def measure(number: int, given: tuple[Tensor, ...]) -> None:
        operation, layer = folded.operations[number], folded.layers[number]
        # What a recurrent layer multiplies is its own state.
        for values in (layer(*given),) if isinstance(operation, Recurrence) else given:
            if not bool(torch.isfinite(values).all()):
                raise ValueError(
                    f"operation {number} of the folded network: its inputs must be finite, but "
                    f"they overflow float32 where the samples reach {np.abs(samples).max():.6g}; scale the "
                    "samples down"
                )
            found[number] += Magnitudes.of(values.numpy())

    with torch.no_grad():
        for first in range(0, len(samples), _BATCH):
            progress(Step(task="measuring activations", done=first, total=len(samples), unit="samples"))
            values = torch.from_numpy(np.ascontiguousarray(samples[first : first + _BATCH]))
            folded.run(values if folded.images else values.flatten(1), measure)
    return found
