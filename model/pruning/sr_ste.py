"""SR-STE: N:M sparse networks trained from scratch (Zhou et al., ICLR 2021, "Learning N:M Fine-grained Structured
Sparse Neural Networks from Scratch")."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.hooks import RemovableHandle

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.nm import largest, nm_masks

DECAY = 2e-4
"""The paper's lambda, as its code has it (aojunzz/NM-sparsity)."""


class _StraightThrough(torch.autograd.Function):
    """The forward pass is `weight * mask`. The backward pass ignores the mask (straight-through) and adds a decay to
    the masked weights, so that the mask becomes stable."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, mask: Tensor, decay: float) -> Tensor:
        ctx.save_for_backward(weight, mask)
        ctx.decay = decay
        return weight.masked_fill(~mask, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        weight, mask = ctx.saved_tensors
        return gradient + ctx.decay * weight.masked_fill(mask, 0), None, None


class SrSte:
    """Trains a network N:M sparse: within the `with` block, forward passes use masked weights, and backward passes are
    those of SR-STE. Layers or weights named in `skip` stay dense (zeroskip.model.pruning.nm.nm_masks).

    Every forward pass chooses the mask again. Within the block the parameters stay dense and keep their names; after
    it the module is an ordinary module whose weights are masked.
    """

    def __init__(self, module: nn.Module, pattern: Pattern, *, decay: float = DECAY, skip: Collection[str] = ()):
        if not decay >= 0:
            raise ValueError(f"decay must be at least 0, not {decay}")
        self._module = module
        self._places: list[tuple[nn.Module, str]] = []
        for name in nm_masks(module, pattern, skip=skip):
            owner, _, key = name.rpartition(".")
            self._places.append((module.get_submodule(owner), key))
        self._pattern = pattern
        self._decay = decay
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> SrSte:
        # Of the whole network: a layer of its own may be read without being called, as an attention reads its last one.
        self._hooks.append(self._module.register_forward_pre_hook(self._use_masked_weights))
        self._hooks.append(self._module.register_forward_hook(self._use_weights, always_call=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        with torch.no_grad():
            for layer, key in self._places:
                weight = layer.get_parameter(key)
                weight.masked_fill_(~largest(weight, self._pattern), 0)

    def _use_masked_weights(self, *_: object) -> None:
        for layer, key in self._places:
            weight = layer.get_parameter(key)
            # An attribute of the object hides the parameter of the same name. torch's parametrization would rename the
            # parameter and move it after the bias, but checkpoints and optimizers need its name and its position.
            vars(layer)[key] = _StraightThrough.apply(weight, largest(weight, self._pattern), self._decay)

    def _use_weights(self, *_: object) -> None:
        for layer, key in self._places:
            vars(layer).pop(key, None)
