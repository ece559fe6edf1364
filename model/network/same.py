"""The safety net: what is compiled must give what torch gives, for a few samples of the data."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.folded import Folded
from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.operations import Spread
from zeroskip.model.network.steps import (
    INPUT,
    ActivationStep,
    AddStep,
    AveragePoolStep,
    BatchNormStep,
    ClampStep,
    ConcatStep,
    ConvStep,
    FlattenStep,
    LinearStep,
    MaxPoolStep,
    MoveStep,
    MultiplyStep,
    NetworkStep,
    RecurrentStep,
    ReluStep,
    SoftmaxStep,
    SpreadStep,
    TokenStep,
)
from zeroskip.model.network.trace import at_least, by_sample

TOLERANCE = 1e-3
"""The largest difference, as a fraction of the largest magnitude: far above rounding, far below another function."""

SAMPLES = 32
"""The number of samples, repeated where there are fewer, on which a folded network is compared with torch's: far more
than those at which it was traced, as forward() may look at their number."""

FEW = 3
"""Samples with which larger numbers of samples are compared."""

LARGER, VALUES = 1_000, 1 << 20
"""A network is also run on so many samples, as far as they have no more than so many values, and must give the same for
each as where it runs on a few."""

EVERY, TOGETHER = 64, 1 << 21
"""It is run on every number of samples from 1 up to this one, as far as all these runs together get no more than so
many values: forward() may look at the number in ways that leave no trace, such as `len(x) == 50`."""


@torch.no_grad()
def require_same_steps(samples: Tensor, steps: Sequence[NetworkStep]) -> None:
    """Raises ValueError naming the first step that does not compute its output from those of the steps that it
    reads."""
    given = {INPUT: samples}
    for number, step in enumerate(steps):
        assert step.output is not None
        given[number] = step.output
        found = _compute(step, *(given[source] for source in step.sources))
        if found.shape != step.output.shape or not _close(found, step.output):
            raise step.error(
                f"{step.label} gives something else in torch than what would be compiled{_by(found, step.output)}; "
                "it, or what stands before it, cannot be compiled as it is"
            )


def _compute(step: NetworkStep, *given: Tensor) -> Tensor:
    """What a step means."""
    values = given[0]
    match step:
        case AddStep():
            return given[0] + given[1]
        case MultiplyStep():
            # Factors may be flat values.
            missing = values.dim() - given[1].dim()
            return values * given[1][(..., *[None] * missing)]
        case ConcatStep():
            return torch.cat(given, 1)
        case ActivationStep(function=function, argument=argument):
            return _in_torch(function, values, argument)
        case ClampStep(low=low, high=high):
            return values.clamp(low, high)
        case LinearStep(module=linear):
            return F.linear(values, linear.weight, linear.bias)
        case ConvStep(module=conv, padding=padding, dilation=dilation):
            return F.conv2d(values, step.weight, conv.bias, step.stride, padding, dilation, conv.groups)
        case MaxPoolStep(kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil):
            return F.max_pool2d(values, kernel, stride, padding, dilation, ceil_mode=ceil)
        case AveragePoolStep(kernel=None):
            return values.mean((2, 3), keepdim=True)
        case AveragePoolStep(kernel=window, stride=stride, padding=padding):
            assert window is not None
            return F.avg_pool2d(values, window, stride, padding)
        case BatchNormStep(module=norm):
            return F.batch_norm(values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        case ReluStep():
            return values.clamp(min=0)
        case FlattenStep():
            return values.flatten(1)
        case RecurrentStep(module=recurrent):
            assert step.output is not None
            return recurrent(values.flatten(1)).reshape(step.output.shape)
        case SpreadStep(apart=apart, tail=tail):
            return Spread(apart, tail)(values)
        case TokenStep(operation=operation):
            assert step.output is not None
            flat = [by_sample(part) for part in given]
            found: Tensor = operation.module().to(step.output.dtype)(*flat)
            return found.reshape(step.output.shape)
        case MoveStep(move=move):
            assert step.output is not None
            return by_sample(values)[:, torch.from_numpy(move.places())].reshape(step.output.shape)
        case SoftmaxStep(kind=kind, dim=dim):
            # Over the classes of each token, or of each sample.
            across = -1 if values.dim() == 3 and dim == -1 else 1
            return F.softmax(values, across) if kind == "softmax" else F.log_softmax(values, across)
    raise TypeError(f"step must be a step of a network, not {type(step).__name__}")


def _in_torch(function: str, values: Tensor, argument: float) -> Tensor:
    """An activation by torch's function of this name, and not by the module that is compiled."""
    plain = function.removesuffix("_tanh")
    arguments: dict[str, Any] = {}
    if function == "leaky_relu":
        arguments["negative_slope"] = argument
    if function == "elu":
        arguments["alpha"] = argument
    if function == "gelu_tanh":
        arguments["approximate"] = "tanh"
    found: Tensor = getattr(F, plain)(values, **arguments)
    return found


@torch.no_grad()
def require_same_counts(network: nn.Module, samples: Tensor, compared: Collection[int]) -> None:
    """Raises ValueError unless the network (in eval mode) gives the same for each of the samples (n, ...), however many
    it gets: all numbers up to EVERY, LARGER, and the numbers next to those with which its forward() compares their
    number, `compared`."""
    largest = max(SAMPLES, min(LARGER, VALUES // max(samples[0].numel(), 1)))
    name, most = type(network).__name__, max(compared, default=0)
    if most > largest:
        raise ValueError(
            f"{name} compares the number of samples with {most:,}, which is too many to check (at most {largest:,}); a "
            "compiled network does the same for each sample: take this out of forward()"
        )
    near = {size for count in compared for size in (count - 1, count, count + 1) if size >= 1}
    few = _outputs(network, at_least(samples, FEW)[:FEW])
    for size in sorted({*_from_one(samples[0].numel()), *near, largest}):
        found = _outputs(network, at_least(samples, size)[:size])
        if not _same_as_few(found, few, size) and not _same_in_double(network, samples, size):
            raise ValueError(
                f"{name} gives something else for {size:,} samples than for {FEW}; a compiled network does the same "
                "for each sample"
            )


def _same_as_few(found: Tensor, few: Tensor, size: int) -> bool:
    """Whether the outputs for `size` samples begin with those for a `few`, as far as there are."""
    same, wanted = found[:FEW], few[:size]
    return len(found) == size and same.shape == wanted.shape and _close(same, wanted)


def _same_in_double(network: nn.Module, samples: Tensor, size: int) -> bool:
    """Whether `size` samples give the same as FEW in float64, so that the difference was rounding; False where the
    network does not run in it."""
    double, given = copy.deepcopy(network).double(), at_least(samples, max(size, FEW))
    given = given.double() if given.is_floating_point() else given
    try:
        return _same_as_few(_outputs(double, given[:size]), _outputs(double, given[:FEW]), size)
    except ValueError:
        # A network may hold tensors of a type that cannot be changed.
        return False


def _from_one(values: int) -> range:
    """The numbers of samples from 1 to EVERY, or fewer, so that samples of `values` values stay within TOGETHER."""
    most = EVERY
    while most * (most + 1) // 2 * values > TOGETHER:
        most -= 1
    return range(1, most + 1)


def _outputs(network: nn.Module, samples: Tensor) -> Tensor:
    """What the network gives (samples, ...), a single value of each as (samples, 1). Raises ValueError where it
    fails."""
    try:
        # A copy: forward() may change its input in place.
        outputs: Tensor = network(samples.clone())
    except Exception as error:
        # It runs the user's forward(), which can raise anything.
        raise ValueError(
            f"{type(network).__name__} fails for {len(samples):,} samples ({type(error).__name__}: {error}); it must "
            "take any number of samples"
        ) from error
    return outputs.reshape(-1, 1) if outputs.dim() < 2 and outputs.numel() == len(samples) else outputs


@torch.no_grad()
def require_same(network: nn.Module, folded: Folded, samples: Tensor, softmax: SoftmaxStep | None) -> None:
    """Raises ValueError unless the folded network gives what the network gives for a few of the samples (n, ...), in
    eval mode, apart from the `softmax` at its end.

    A difference must stand in float64, too: rounding alone is none.
    """
    differences = []
    for number in dict.fromkeys((samples.dtype if samples.is_floating_point() else torch.float32, torch.float64)):
        ours, theirs = copy.deepcopy(folded).to(number), copy.deepcopy(network).to(number)
        given = at_least(samples, SAMPLES)[:SAMPLES]
        # Whole numbers, which name rows of an embedding, stay so.
        theirs_given = given.to(number) if given.is_floating_point() else given
        given = given.to(number)
        found = ours(given if folded.images else given.flatten(1))
        try:
            with in_mode(theirs, training=False):
                wanted = _outputs(theirs, theirs_given).flatten(1)
        except ValueError:
            if number != torch.float64:
                raise
            # A network may hold tensors of a type that cannot be changed.
            continue
        if softmax is not None:
            # Torch's own shape, as that of tokens has classes for each.
            shape = found.shape[1:] if softmax.output is None else softmax.output.shape[1:]
            found = _compute(softmax, found.reshape(len(found), *shape)).flatten(1)
        if found.shape == wanted.shape and _close(found, wanted):
            return
        differences.append(_by(found, wanted))
    raise ValueError(
        f"the folded network gives something else than {type(network).__name__} in torch{differences[0]}, so it cannot "
        "be compiled"
    )


def finite_parts(found: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor] | None:
    """The values where `wanted` is finite, of both; None where the others differ. NaN is equal to NaN there, and
    infinity to infinity of the same sign. Whole numbers may be floats on one side."""
    if not wanted.is_floating_point():
        wanted = wanted.to(found.dtype)
    finite = wanted.isfinite()
    if not torch.allclose(found[~finite], wanted[~finite], equal_nan=True):
        return None
    return found[finite], wanted[finite]


def _close(found: Tensor, wanted: Tensor) -> bool:
    parts = finite_parts(found, wanted)
    if parts is None:
        return False
    found, wanted = parts
    if not wanted.numel():
        return True
    # Half precision rounds more coarsely.
    tolerance = max(TOLERANCE, 16 * torch.finfo(wanted.dtype).eps)
    return bool((found - wanted).abs().max() <= tolerance * wanted.abs().max() + torch.finfo(wanted.dtype).tiny)


def _by(found: Tensor, wanted: Tensor) -> str:
    if found.shape != wanted.shape:
        return f" (shape {tuple(found.shape)} for {tuple(wanted.shape)})"
    return f" (by {(found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30):.2%} of the largest value)"
