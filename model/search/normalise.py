"""Batch normalisation of a pruned network, measured anew (Li et al., EagleEye, ECCV 2020, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from model.compiler.chain import in_mode

SAMPLES = 1_024
"""Samples at most."""

BATCH = 256
"""Samples at once; means and variances are averaged over these."""


@torch.no_grad()
def normalise_anew(module: nn.Module, samples: Tensor) -> None:
    """Gives the batch normalisation of a network the means and variances that its inputs have now, in `samples`
    (n, ...): they are not those of the dense network, and few layers on nothing is left of what the dense one said."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]
    # Of a batch of one there is no variance.
    batches = [some for some in samples[:SAMPLES].split(BATCH) if len(some) > 1]
    if not norms or not batches:
        return
    momenta = [norm.momentum for norm in norms]
    with in_mode(module, training=False):
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None
        for some in batches:
            module(some)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
