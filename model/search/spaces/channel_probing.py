"""Which features of which layers depend on which channels, found by running the network on changed channels."""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.search.spaces.work import Allowance, TooLong, work_of

INPUTS = "the network's inputs"
"""The name under which all inputs of the network are one channel."""

OUTPUTS = "the network's outputs"
"""The name under which all outputs of the network are one feature."""

LARGEST_RUN = 500_000
"""The number of values of a layer's outputs in one run, which bounds the memory, and is fast where caches hold it."""

LARGEST_SINGLE = 64
"""The largest number of channels that are tested one by one. In wider layers, where features depend on several
channels, all channels count as connected. They stay whole either way, as long as the layer mixes its inputs."""

SMALL = 1_000_000
"""The number of values of all layers' outputs up to which a network is tested with images of their own size."""

LEAST_SIDE = 4
"""The smallest height and width of a layer's outputs with smaller images, at which positions still differ."""

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""The smallest change of a feature that counts, as a fraction of the largest value there."""

ROUNDS: tuple[Callable[[Tensor], tuple[Tensor, Tensor]], ...] = (
    lambda uniform: (0.5 + uniform, 2 + uniform),
    lambda uniform: (-0.5 - uniform, -2 - uniform),
    lambda uniform: (2 * uniform - 1, 2 - 4 * uniform),
)
"""From random numbers in [0, 1): the values of a layer's outputs, and those of changed channels. Positive, negative and
of both signs, so that no activation function or maximum hides all changes."""

Test = dict[str, NDArray[np.bool_]]
"""The channels that a test changes: bool (channels,) by the name of the layer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dependences:
    """What a network's layers make of one another's channels.

    `channels` are the numbers of output channels of the layers that make them, in the order in which the network runs
    these layers, and 1 for INPUTS. `features` are the numbers of input features of the layers that read them, and 1 for
    OUTPUTS; `outputs` is the number of the network's outputs for a sample. `edges` holds, by both names, which of the
    features depend on which of the channels: pairs (channel, feature), int64 (pairs, 2). `unread` are the layers whose
    channels could not be told apart within the limit of work; all of their channels are connected.
    """

    channels: dict[str, int]
    features: dict[str, int]
    outputs: int
    edges: dict[tuple[str, str], NDArray[np.int64]]
    unread: set[str] = field(default_factory=set)


def makes_channels(layer: nn.Module) -> bool:
    """Whether the layer mixes its inputs to new channels. A depthwise convolution only changes those it gets."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and not is_depthwise(layer))


def is_depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels


def read_dependences(module: nn.Module, sample: Tensor) -> Dependences:
    """Follows the channels through a network, which is run on inputs like `sample` (1, ...), in evaluation mode.

    All Linear and Conv2d layers are cut: random values take the place of their outputs. A test
    changes some channels in one sample of a batch, and every feature that then differs from the first, unchanged sample
    depends on one of them. The layers themselves do not run, so that the tests are cheap. The number of runs grows
    with the logarithm of the number of channels, unless features depend on several channels of a layer.

    Raises what the network's forward() raises, and TooLong.
    """
    small = _smallest(module, sample)
    if small is not sample:
        try:
            return _read(_Probe(module, small))
        except TooLong:
            raise
        except Exception:
            # The user's forward(), which can raise anything, may need images of their own size.
            pass
    return _read(_Probe(module, sample))


def _read(probe: _Probe) -> Dependences:
    names = list(probe.channels)
    found = probe.run([{name: np.ones(count, bool)} for name, count in probe.channels.items()])
    whole = {name: {reader: changed[at] for reader, changed in found.items()} for at, name in enumerate(names)}
    reach = {name: [reader for reader, changed in found.items() if changed.any()] for name, found in whole.items()}
    edges: dict[tuple[str, str], NDArray[np.int64]] = {}
    unread: set[str] = set()
    for together in _apart(names, whole, reach):
        sizes = {name: probe.channels[name] for name in together}
        try:
            digits = probe.run(_digit_tests(sizes))
        except TooLong:
            unread.update(together)
            edges |= {
                (name, reader): _tied(whole[name][reader], sizes[name]) for name in together for reader in reach[name]
            }
            continue
        for name in together:
            unclear = []
            for reader in reach[name]:
                # What changes though it depends on none of these layers when they change alone is taken to be of each.
                others = np.any([whole[other][reader] for other in together if other != name] or [False], axis=0)
                pairs = _by_digits(whole[name][reader], digits[reader] & (whole[name][reader] | ~others), sizes[name])
                if pairs is None:
                    unclear.append(reader)
                    pairs = _tied(whole[name][reader] | (digits[reader].any(0) & ~others), sizes[name])
                edges[name, reader] = pairs
            if unclear and sizes[name] <= LARGEST_SINGLE:
                # Some features depend on several channels: every channel gets a test of its own.
                try:
                    single = probe.run([{name: row} for row in np.eye(sizes[name], dtype=bool)])
                except TooLong:
                    continue
                for reader in reach[name]:
                    edges[name, reader] = _one_by_one(whole[name][reader], single[reader])
    return Dependences(
        channels=probe.channels, features=probe.features, outputs=probe.outputs, edges=edges, unread=unread
    )


def _tied(depends: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Pairs (channel, feature) that connect all channels and all features that depend on the layer."""
    features = np.flatnonzero(depends)
    if not len(features):
        return np.zeros((0, 2), np.int64)
    first = np.stack([np.arange(count), np.full(count, features[0])], 1)
    return np.concatenate([first, np.stack([np.zeros_like(features), features], 1)[1:]])


def double_precision(module: nn.Module, sample: Tensor) -> tuple[nn.Module, Tensor]:
    """A copy of the network in evaluation mode, and its inputs, in float64, or in the precision that they have where
    forward() takes no other."""
    network, inputs = copy.deepcopy(module).eval().double(), sample.double()
    try:
        with torch.no_grad():
            network(inputs.clone())
    except Exception:
        # The user's forward() can raise anything, as where it makes float32 tensors of its own.
        return copy.deepcopy(module).eval(), sample
    return network, inputs


def _apart(
    names: Sequence[str], whole: dict[str, dict[str, NDArray[np.bool_]]], reach: dict[str, list[str]]
) -> list[list[str]]:
    """The layers, in sets that reach no common feature and can be tested at once."""
    sets: list[tuple[list[str], dict[str, NDArray[np.bool_]]]] = []
    for name in names:
        mine = {reader: whole[name][reader] for reader in reach[name]}
        for members, reached in sets:
            if not any((reached[reader] & depends).any() for reader, depends in mine.items() if reader in reached):
                members.append(name)
                reached.update({reader: reached.get(reader, False) | depends for reader, depends in mine.items()})
                break
        else:
            sets.append(([name], mine))
    return [members for members, _ in sets]


def _digit_tests(sizes: dict[str, int]) -> list[Test]:
    """For every binary digit of a channel's number, a test of the channels that have it, and one of the others."""
    tests = []
    for digit in range(max((count - 1).bit_length() for count in sizes.values())):
        for value in (0, 1):
            tests.append({name: (np.arange(count) >> digit & 1) == value for name, count in sizes.items()})
    return tests


def _by_digits(depends: NDArray[np.bool_], digits: NDArray[np.bool_], count: int) -> NDArray[np.int64] | None:
    """The pairs (channel, feature), from the results of `_digit_tests`, (tests, features), for the features that depend
    on the layer at all. None if a feature does not depend on one channel only."""
    needed = (count - 1).bit_length()
    zero, one = digits[0 : 2 * needed : 2], digits[1 : 2 * needed : 2]
    features = np.flatnonzero(depends | digits[: 2 * needed].any(0))
    if not (zero ^ one)[:, features].all():
        return None
    numbers = (one[:, features] << np.arange(needed)[:, None]).sum(0, dtype=np.int64)
    return np.stack([numbers, features], 1) if numbers.max(initial=0) < count else None


def _one_by_one(depends: NDArray[np.bool_], single: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The pairs (channel, feature), from the results (channels, features) of a test of each channel. A feature that
    depends on the layer, but not visibly on a channel, is taken to depend on all of them."""
    return np.argwhere(single | (depends & ~single.any(0)))


@dataclass
class _Reader:
    """A layer whose inputs are watched. Its features are in the dimension `at` of its inputs."""

    at: int
    features: int


def _reader(layer: nn.Module) -> _Reader | None:
    """How to read a layer that has something for each of its input features; None for other layers."""
    if isinstance(layer, nn.Linear):
        return _Reader(-1, layer.in_features)
    if isinstance(layer, nn.Conv2d):
        return _Reader(-3, layer.in_channels)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return _Reader(1, layer.num_features)
    if isinstance(layer, nn.PReLU) and layer.num_parameters > 1:
        return _Reader(1, layer.num_parameters)
    return None


@dataclass
class _Call:
    """What one layer's call gives: the shape of its outputs (rows, ...) for a single sample."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass
class _Run:
    """The tests of one run, which are the samples of its batch after the first; and what has been seen so far."""

    tests: list[Test]
    values: Callable[[Tensor], tuple[Tensor, Tensor]]
    calls: dict[str, int] = field(default_factory=dict)
    changed: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


def _calls(network: nn.Module, sample: Tensor) -> tuple[dict[str, list[_Call]], Any]:
    """What the calls of all Linear and Conv2d layers give, in the order in which the layers run; and the outputs."""
    calls: dict[str, list[_Call]] = {}

    def record(name: str) -> Any:
        def hook(layer: nn.Module, given: Any, result: Tensor) -> None:
            calls.setdefault(name, []).append(_Call(tuple(result.shape), result.dtype))

        return hook

    handles = [layer.register_forward_hook(record(name)) for name, layer in prunable_layers(network).items()]
    try:
        with torch.no_grad():
            outputs = network(sample.clone())
    finally:
        for handle in handles:
            handle.remove()
    return calls, outputs


def _smallest(module: nn.Module, sample: Tensor) -> Tensor:
    """The sample, or, where a network has large images, one with images as small as it takes; the checks of the groups
    that are found use images of their own size."""
    network = copy.deepcopy(module).eval()
    calls, outputs = _calls(network, sample)
    best = sample
    while best.dim() == 4 and min(best.shape[2:]) > 1:
        if sum(math.prod(call.shape) for of in calls.values() for call in of) <= SMALL:
            break
        smaller = best[..., ::2, ::2]
        try:
            found, same = _calls(network, smaller)
        except Exception:
            # As in read_dependences.
            break
        if not (_alike(calls, found) and same.shape == outputs.shape):
            break
        best, calls = smaller, found
    return best


def _alike(calls: dict[str, list[_Call]], smaller: dict[str, list[_Call]]) -> bool:
    """Whether the same layers run, with the same channels, and sides of at least LEAST_SIDE."""
    if [(name, len(of)) for name, of in calls.items()] != [(name, len(of)) for name, of in smaller.items()]:
        return False
    for name, of in calls.items():
        for one, other in zip(of, smaller[name], strict=True):
            if len(one.shape) != len(other.shape) or one.shape[:2] != other.shape[:2]:
                return False
            if any(new < min(old, LEAST_SIDE) for old, new in zip(one.shape, other.shape, strict=True)):
                return False
    return True


class _Probe:
    """A copy of the network in which layers that make channels give random values instead.

    `channels` and `features` are those of Dependences.
    """

    def __init__(self, module: nn.Module, sample: Tensor) -> None:
        self.network, self.sample = double_precision(module, sample)
        self.calls, outputs = _calls(self.network, self.sample)
        self.outputs = outputs.numel()
        layers = dict(self.network.named_modules())
        self.channels = {name: layers[name].weight.shape[0] for name in self.calls} | {INPUTS: 1}
        self.readers = {name: reader for name, layer in layers.items() if (reader := _reader(layer)) is not None}
        self.features = {name: reader.features for name, reader in self.readers.items()} | {OUTPUTS: 1}
        self._randomise()
        self._running: _Run
        for name in self.calls:
            layers[name].forward = self._source(name)
        for name in self.readers:
            if name not in self.calls:
                layers[name].register_forward_pre_hook(self._watch(name), with_kwargs=True)
        self.allowance = Allowance()
        fixed, both = work_of(lambda: self._run([{}], ROUNDS[0]))
        self.fixed, self.by_sample = fixed, both / 2

    def _randomise(self) -> None:
        """Gives the other layers random parameters: with those of the network, one could hide a channel, as a batch
        normalisation with the weight 0 does."""
        generator = torch.Generator().manual_seed(0)
        for name, layer in self.network.named_modules():
            if name in self.calls:
                continue
            for key, value in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
                if not value.is_floating_point() or (
                    not isinstance(value, nn.Parameter) and not key.startswith("running_")
                ):
                    continue
                drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64)
                # Biases and means are around zero, all others positive, with sums that stay near one.
                shift = "bias" in key or key == "running_mean"
                fan_in = math.prod(value.shape[1:]) or 1
                value.data.copy_((0.2 * drawn - 0.1) if shift else (0.5 + drawn) / fan_in)

    def run(self, tests: list[Test]) -> dict[str, NDArray[np.bool_]]:
        """Which features change in which test, bool (tests, features), by reader."""
        largest = max((math.prod(call.shape) for calls in self.calls.values() for call in calls), default=1)
        step = max(1, LARGEST_RUN // max(largest, self.sample.numel()) - 1)
        self.allowance.spend(
            len(ROUNDS) * (math.ceil(len(tests) / step) * (self.fixed + self.by_sample) + len(tests) * self.by_sample)
        )
        found = {name: np.zeros((len(tests), count), bool) for name, count in self.features.items()}
        for start in range(0, len(tests), step):
            chunk = tests[start : start + step]
            for values in ROUNDS:
                for name, changed in self._run(chunk, values).items():
                    found[name][start : start + len(chunk)] |= changed
        return found

    @torch.no_grad()
    def _run(
        self, tests: list[Test], values: Callable[[Tensor], tuple[Tensor, Tensor]]
    ) -> dict[str, NDArray[np.bool_]]:
        self._running = _Run(tests, values)
        generator = torch.Generator().manual_seed(0)
        other = torch.randn(self.sample.shape, generator=generator).to(self.sample.dtype)
        inputs = [other if INPUTS in test else self.sample for test in tests]
        outputs = self.network(torch.cat([self.sample, *inputs]))
        self._see(OUTPUTS, outputs, None)
        return self._running.changed

    def _see(self, name: str, seen: Tensor, at: int | None) -> None:
        """Compares every sample of `seen`, features in dimension `at`, with the first."""
        count = len(self._running.tests) + 1
        if seen.dim() < 1 or len(seen) % count or (at is not None and at % seen.dim() == 0):
            raise ValueError(
                f"'{name}' must get the same number of rows from every sample, not {tuple(seen.shape)} of {count}"
            )
        rows = seen.detach().reshape(count, -1, *seen.shape[1:])
        difference = (rows[1:] - rows[:1]).abs_()
        feature = None if at is None else 1 + at % seen.dim()
        largest = difference.amax([one for one in range(1, difference.dim()) if one != feature])
        bound = TOLERANCE.get(rows.dtype, 1e-2) * rows[0].abs().max()
        # NaN counts as changed.
        found = (~(largest <= bound)).reshape(count - 1, -1).numpy()
        before = self._running.changed.get(name)
        self._running.changed[name] = found if before is None else before | found

    def _watch(self, name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            (seen,) = (*given, *named.values())
            self._see(name, seen, self.readers[name].at)

        return hook

    def _source(self, name: str) -> Callable[[Tensor], Tensor]:
        """What replaces the layer's forward()."""

        def forward(input: Tensor) -> Tensor:
            self._see(name, input, self.readers[name].at)
            run = self._running
            at = run.calls.get(name, 0)
            run.calls[name] = at + 1
            call = self.calls[name][at]
            generator = torch.Generator().manual_seed(zlib.crc32(f"{name} {at}".encode()))
            base, changed = run.values(torch.rand(call.shape, generator=generator, dtype=torch.float64))
            none = np.zeros(self.channels[name], bool)
            which = torch.from_numpy(np.stack([none, *(test.get(name, none) for test in run.tests)]))
            # (tests, channels), to the tests and one call's outputs (tests, rows, ..., channels, ...).
            behind = -1 - self.readers[name].at
            where = which.reshape(len(which), *[1] * (len(call.shape) - 1 - behind), -1, *[1] * behind)
            return torch.where(where, changed, base).flatten(0, 1).to(call.dtype)

        return forward
