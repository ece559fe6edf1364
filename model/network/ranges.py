"""How large the activations of a float network are."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.network.lower import lower
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.operations import operations
from zeroskip.model.network.subset import chosen
from zeroskip.model.progress import Progress, Step, silent

SAMPLES = 256
"""At most this many samples, taken by chance with a fixed seed, are looked at."""

_BATCH = 64


def input_magnitudes(
    folded: nn.Sequential, inputs: NDArray[np.float32], progress: Progress = silent
) -> list[Magnitudes]:
    """The magnitudes of what each operation of a folded network (zeroskip.model.network.fold) takes, for `inputs`
    (samples x ...). Raises ValueError if their shape does not fit the network, or where they overflow in it."""
    found_operations = operations(folded)
    lower([operation for operation, _ in found_operations], inputs.shape[1:])
    firsts = [module for _, module in found_operations]
    samples = inputs[chosen(len(inputs), SAMPLES)]
    found = {id(module): Magnitudes.of() for module in firsts}
    with torch.no_grad():
        for first in range(0, len(samples), _BATCH):
            progress(Step(task="measuring activations", done=first, total=len(samples), unit="samples"))
            values = torch.from_numpy(np.ascontiguousarray(samples[first : first + _BATCH]))
            if isinstance(folded[0], nn.Linear):
                values = values.flatten(1)
            for module in folded:
                if id(module) in found:
                    if not bool(torch.isfinite(values).all()):
                        raise ValueError(
                            f"operation {firsts.index(module)} of the folded network: its inputs must be finite, but "
                            f"they overflow float32 where the samples reach {np.abs(samples).max():.6g}; scale the "
                            "samples down"
                        )
                    found[id(module)] += Magnitudes.of(values.numpy())
                values = module(values)
    return [found[id(module)] for module in firsts]
