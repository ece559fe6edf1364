"""Recalibration of the batch normalisation of a pruned network (Li et al., EagleEye, ECCV 2020, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zeroskip.model.network.modes import in_mode
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.search.spaces.refit import Refit

SAMPLES = 1_024
"""The largest number of samples used."""

BATCH = 256
"""The batch size. The means and variances of the batches are averaged."""


def prune(module: nn.Module, masks: dict[str, Tensor], samples: Tensor, fit: Callable[[], Refit] | None = None) -> None:
    """Applies the masks, if there are any; then fits the weights that are left, if there is a `fit` and something was
    removed, and recalibrates batch normalisation with `samples` (n, ...)."""
    if masks:
        removes = any(bool(module.get_parameter(name)[~mask].any()) for name, mask in masks.items())
        Masks(module, masks).apply()
        if fit is not None and removes:
            # Before the recalibration: the fit is to outputs that have the means and variances from before pruning.
            fit().apply(module, masks)
        recalibrate_batch_norm(module, samples)


@torch.no_grad()
def revive(module: nn.Module, dense: nn.Module) -> None:
    """Gives batch normalisation the means and variances of the dense network back, in place, where a variance is 0:
    that of a channel that was pruned when it was recalibrated. Once the channel is back, it would be divided by it."""
    before = dict(dense.named_modules())
    for name, norm in module.named_modules():
        if isinstance(norm, _BatchNorm) and norm.running_var is not None and norm.running_mean is not None:
            dead, there = norm.running_var == 0, before[name]
            for key in ("running_mean", "running_var"):
                value = getattr(norm, key)
                value.copy_(torch.where(dead, getattr(there, key), value))


@torch.no_grad()
def recalibrate_batch_norm(module: nn.Module, samples: Tensor) -> None:
    """Measures the means and variances of all batch normalisation layers again, on `samples` (n, ...). Pruning changes
    them, and with those of the dense network the errors grow from layer to layer."""
    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None]
    samples = samples[:SAMPLES]
    if not norms or len(samples) < 2:
        # A single sample has no variance.
        return
    momenta = [norm.momentum for norm in norms]
    try:
        with in_mode(module, training=False):
            for norm in norms:
                norm.reset_running_stats()
                norm.train()
                norm.momentum = None
            # All batches have the same weight in the average, so an incomplete last batch is left out.
            for batch in samples[: max(1, len(samples) // BATCH) * BATCH].split(BATCH):
                module(batch.clone())
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
