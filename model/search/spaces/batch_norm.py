"""Batch normalisation of a pruned network, measured anew (Li et al., EagleEye, ECCV 2020, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zeroskip.model.network.modes import in_mode
from zeroskip.model.pruning.masks import Masks

SAMPLES = 1_024
"""Samples at most."""

BATCH = 256
"""Samples at once; means and variances are averaged over these."""


def prune(module: nn.Module, masks: dict[str, Tensor], samples: Tensor) -> None:
    """Applies masks, and where there are any normalises the network anew."""
    if masks:
        Masks(module, masks).apply()
        recalibrate_batch_norm(module, samples)


@torch.no_grad()
def recalibrate_batch_norm(module: nn.Module, samples: Tensor) -> None:
    """Gives the batch normalisation of a network the means and variances that its inputs have now, in `samples`
    (n, ...): they are not those of the dense network, and few layers on nothing is left of what the dense one said."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]
    samples = samples[:SAMPLES]
    if not norms or len(samples) < 2:
        # Of a single one there is no variance.
        return
    momenta = [norm.momentum for norm in norms]
    try:
        with in_mode(module, training=False):
            for norm in norms:
                norm.reset_running_stats()
                norm.train()
                norm.momentum = None
            # All batches weigh the same, however many samples they have: what does not fill the last is left out.
            for some in samples[: max(1, len(samples) // BATCH) * BATCH].split(BATCH):
                module(some)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
