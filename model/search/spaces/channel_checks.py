"""Checks by values that a network without some channels computes what it computes where these channels are zero."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.same import finite_parts
from zeroskip.model.pruning.data_checks import error_line
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.search.spaces.channel_groups import Graph
from zeroskip.model.search.spaces.channel_probing import double_precision
from zeroskip.model.search.spaces.work import TOO_LONG, Allowance, TooLong, work_of

QUICK = 1e-4
"""The largest difference of outputs, as a fraction of the largest output, that needs no closer look."""

TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-3}
"""The largest difference, likewise, that rounding may make; float32 is for networks that do not run in float64."""

LARGER = (2, 4, 8, 16)
"""Samples are checked again with values larger by these factors. A mean over channels doubles where half of them are
removed, and for one of the factors it then crosses a threshold that compares it."""

Kept = dict[int, NDArray[np.int64]]
"""The channels that are kept, in ascending order, by group. Groups that it does not name keep all."""


def difference(masked: nn.Module, small: nn.Module, inputs: Tensor) -> str:
    """How the outputs of the two networks differ in evaluation mode, in words; "" where they are the same but for
    rounding, which a difference is by definition if it vanishes in float64."""
    if not _compare(masked, small, inputs, QUICK):
        return ""
    masked, inputs = double_precision(masked, inputs)
    small = copy.deepcopy(small).to(inputs.dtype)
    return _compare(masked, small, inputs, TOLERANCE.get(inputs.dtype, 1e-2))


def _compare(masked: nn.Module, small: nn.Module, inputs: Tensor, tolerance: float) -> str:
    try:
        with in_mode(masked, training=False), in_mode(small, training=False), torch.no_grad():
            expected, found = _outputs(masked, inputs), _outputs(small, inputs)
    except Exception as error:
        # It runs the user's forward(), which can raise anything.
        return f"the network fails without some of them ({error_line(error)})"
    if found.shape != expected.shape:
        return f"without some of them the outputs have the shape {tuple(found.shape)}, not {tuple(expected.shape)}"
    parts = finite_parts(found, expected)
    if parts is None:
        return "NaN or infinity among the outputs change when some of them, which are zero, are removed"
    found, expected = parts
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    if torch.allclose(found, expected, rtol=0, atol=tolerance * scale):
        return ""
    share = float((found - expected).abs().max()) / scale if scale > 0 else math.inf
    by = f" by {share:.0%} of the largest" if math.isfinite(share) else ""
    return f"the outputs differ{by} when some of them, which are zero, are removed"


def checked_groups(module: nn.Module, graph: Graph, sample: Tensor) -> Graph:
    """The graph, in which every group is FIXED without some of whose channels the network computes something else,
    and every group that cannot be checked within the limit of work (zeroskip.model.search.spaces.work).

    Channels that are drawn at random are set to zero in a copy of the network, and removed from another, and the
    outputs must be equal: for several numbers of channels, for `sample` (1, ...), a random one and larger ones. The
    copies have random weights, with which no channel is dead. A difference counts if it is there in float64 too.
    """
    probe = copy.deepcopy(module).eval()
    _randomise(probe)
    other = torch.randn(sample.shape, generator=torch.Generator().manual_seed(0)).to(sample.dtype)
    inputs = torch.cat([sample, other, *(factor * other for factor in LARGER)])
    choices = _choices(graph.sizes)
    allowance, work = Allowance(), 2 * _work(probe, inputs)
    if work * len(choices) > allowance.left:
        return _all_fixed(graph, range(len(graph.sizes)))
    allowance.spend(work * len(choices))
    if not _differences(probe, graph, choices, inputs):
        return graph
    # Group by group, each together with those that have passed.
    passed: set[int] = set()
    for group in range(len(graph.sizes)):
        tried = [{one: kept[one] for one in kept.keys() & {*passed, group}} for kept in choices if group in kept]
        try:
            allowance.spend(work * len(tried))
        except TooLong:
            return _all_fixed(graph, range(group, len(graph.sizes)))
        if reason := _differences(probe, graph, tried, inputs):
            graph = graph.fixed(group, reason)
        else:
            passed.add(group)
    return graph


def _work(network: nn.Module, inputs: Tensor) -> float:
    """The work of a run; 0 where the network cannot run, which the checks find out at once."""
    try:
        return sum(work_of(lambda: network(inputs.clone())))
    except Exception:
        # It runs the user's forward(), which can raise anything.
        return 0.0


def _all_fixed(graph: Graph, groups: Sequence[int]) -> Graph:
    for group in groups:
        graph = graph.fixed(group, TOO_LONG)
    return graph


def _choices(sizes: Sequence[int]) -> list[Kept]:
    """What is kept in each check.

    All groups lose channels in the first checks. Of any two groups, one loses channels and the other does not in one of
    the rest, which have a check for each binary digit of a group's number: they need not have the same size.
    """
    rng = np.random.default_rng(0)
    by_group = [_samples(size, rng) for size in sizes]
    # Each group begins with another of its samples, so that groups lose different numbers of channels.
    choices = [
        {group: samples[(check + group) % len(samples)] for group, samples in enumerate(by_group)}
        for check in range(max(map(len, by_group), default=0))
    ]
    for digit in range(max(len(sizes) - 1, 0).bit_length()):
        choices.append({group: samples[0] for group, samples in enumerate(by_group) if group >> digit & 1})
    return choices


def _samples(size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Some of the channels: half and a quarter of them at random, the second half, the first, every other one, and all
    but one."""
    order = rng.permutation(size)
    half, every = max(1, size // 2), np.arange(size)
    random = [np.sort(order[:half]), np.sort(order[: max(1, size // 4)])]
    return [*random, every[-half:], every[:half], every[1::2], np.delete(every, order[-1])]


def _differences(probe: nn.Module, graph: Graph, choices: list[Kept], inputs: Tensor) -> str:
    """The first difference that one of the choices makes; "" if there is none."""
    for kept in choices:
        try:
            masked = copy.deepcopy(probe)
            Masks(masked, graph.masks(masked, kept)).apply()
            small = graph.removed(masked, kept)
        except ValueError as error:
            return str(error)
        if reason := difference(masked, small, inputs):
            return reason
    return ""


def _outputs(network: nn.Module, inputs: Tensor) -> Tensor:
    """The network's outputs; random numbers in its forward() are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        outputs = network(inputs.clone())
    return outputs.double() if not outputs.is_floating_point() else outputs


def _randomise(network: nn.Module) -> None:
    """Gives all layers random parameters, with which outputs are neither dead nor huge (He et al., ICCV 2015)."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        own: list[tuple[str, Tensor]] = [*layer.named_parameters(recurse=False)]
        if isinstance(layer, _BatchNorm):
            own += [(key, value) for key, value in layer.named_buffers(recurse=False) if key.startswith("running_")]
        for key, value in own:
            if not value.is_floating_point():
                continue
            drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            if "bias" in key or key == "running_mean":
                drawn = 0.4 * drawn - 0.1
            elif value.dim() > 1:
                drawn = (2 * drawn - 1) * math.sqrt(6 / math.prod(value.shape[1:]))
            else:
                drawn = 0.5 + drawn
            value.data.copy_(drawn)
