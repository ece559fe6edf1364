"""Random steps of the N:M tile, and what it makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.operands import KINDS, block_numbers, random_bits

from zeroskip.model.mma import format as nm
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import dot
from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.rtl.mma.layouts import timing


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Steps in the order in which they go, and the results in that in which they come."""

    fields: dict[str, NDArray[Any]]
    """Of `step_layout`, the first axis the step."""
    results: NDArray[Any]
    """Raw bits, results x m x n."""
    illegal: NDArray[np.bool_]
    """Whether any code of a step is illegal."""

    @property
    def count(self) -> int:
        return len(self.illegal)

    @property
    def last(self) -> NDArray[np.intp]:
        """The step that each result comes from."""
        return np.flatnonzero(self.fields["last"])

    def as_list(self) -> list[dict[str, Any]]:
        """A plain dict a step."""
        return [{name: values[i].tolist() for name, values in self.fields.items()} for i in range(self.count)]


def random_steps(
    rng: np.random.Generator,
    geometry: TileGeometry,
    count: int,
    *,
    longest: int = 4,
    active: int | None = None,
    dense: float = 0.2,
    legal: bool = False,
    kinds: tuple[str, ...] = KINDS,
) -> Steps:
    """Sums of up to `longest` steps, of which `active` are under way in slots at random; what does not count in a step
    is garbage. A part `dense` of the steps is dense, and codes are any or `legal` ones."""
    pattern, slots = geometry.pattern, timing(geometry).slots
    whole = slots if active is None else active
    slot, first, last = _schedule(rng, count, longest, rng.permutation(slots)[:whole])

    kind = [kinds[i] for i in rng.integers(0, len(kinds), -(-count // 4))]
    batches = [_numbers(rng, geometry, 4, name) for name in kind]
    a, b, paired, c = (np.concatenate(part)[:count] for part in zip(*batches, strict=True))
    codes = rng.integers(0, 1 << pattern.code_bits, (count, geometry.m, geometry.groups), np.uint64)
    codes = codes.astype(nm.code_type(pattern))
    flat = codes.reshape(-1, geometry.groups)
    if legal and not pattern.dense:
        every = np.arange(1 << pattern.code_bits, dtype=codes.dtype)
        good = every[~nm.illegal(every[:, None], pattern, geometry.check)[:, 0]]
        codes = rng.choice(good, codes.shape)
        flat = codes.reshape(-1, geometry.groups)
    is_dense = rng.random(count) < dense if not pattern.dense else np.ones(count, bool)
    phase = rng.integers(0, geometry.phases, count)
    where = _places(geometry, codes, is_dense, phase)

    # The first row meets the values that were made for it.
    for step in range(count):
        b[step][:, where[step, 0]] = paired[step]
    results = _results(geometry, slot, first, a, b, c, where)[last]
    dropped = geometry.operand.dropped if isinstance(geometry.operand, FloatFormat) else 0
    fields = {"a": a >> dropped, "b": b >> dropped, "c": c, "first": first, "last": last, "slot": slot}
    fields |= {name: fields[name].astype(np.uint8) for name in ("first", "last", "slot")}
    illegal = np.zeros(count, bool)
    if not pattern.dense:
        fields |= {"codes": codes, "dense": is_dense.astype(np.uint8), "phase": phase.astype(np.uint8)}
        illegal = nm.illegal(flat, pattern, geometry.check).reshape(count, -1).any(axis=1) & ~is_dense
    return Steps(fields=fields, results=results, illegal=illegal)


def _schedule(
    rng: np.random.Generator, count: int, longest: int, slots: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]:
    """Slots of the steps, and where sums begin and end; some are left unfinished."""
    left = dict.fromkeys(slots.tolist(), 0)
    slot, first, last = np.zeros(count, int), np.zeros(count, bool), np.zeros(count, bool)
    for step in range(count):
        slot[step] = rng.choice(slots)
        first[step] = left[slot[step]] == 0
        if first[step]:
            left[slot[step]] = int(rng.integers(1, longest + 1))
        left[slot[step]] -= 1
        last[step] = left[slot[step]] == 0
    return slot, first, last


def _results(
    geometry: TileGeometry,
    slot: NDArray[Any],
    first: NDArray[np.bool_],
    a: NDArray[Any],
    b: NDArray[Any],
    c: NDArray[Any],
    where: NDArray[np.int32],
) -> NDArray[Any]:
    """The sums as they stand after each step: all first steps, then all second ones, and so on."""
    sums = c.copy()
    before, depth = np.full(len(slot), -1), np.zeros(len(slot), int)
    latest: dict[int, int] = {}
    for step, key in enumerate(slot.tolist()):
        if not first[step]:
            before[step] = latest[key]
            depth[step] = depth[latest[key]] + 1
        latest[key] = step
    for level in range(depth.max() + 1):
        at = np.flatnonzero(depth == level)
        chosen = np.take_along_axis(b[at][:, None], where[at][:, :, None], axis=3)
        addend = sums[before[at]] if level else c[at]
        # One step is one block, of integers too.
        sums[at] = dot(
            a[at][:, :, None],
            chosen,
            addend,
            generation=geometry.generation,
            dtype=geometry.dtype,
            out=geometry.out,
        )
    return sums


def _numbers(
    rng: np.random.Generator, geometry: TileGeometry, count: int, kind: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A's values, B's windows, the values that a step's first row is to meet, and C, of steps of one kind."""
    m, n, k = geometry.m, geometry.n, geometry.k
    a, paired, c = block_numbers(rng, geometry.dtype, geometry.out, count * m, k, kind)
    b = random_bits(rng, geometry.dtype, (count, n, geometry.window))
    if kind != "any":
        # Of the same size as those of the pairs, whichever they are.
        source = paired.reshape(count, -1)
        choice = rng.integers(0, source.shape[1], b.shape)
        b = np.take_along_axis(source, choice.reshape(count, -1), axis=1).reshape(b.shape)
    c = np.stack([np.roll(c, shift) for shift in range(n)], axis=1).reshape(count, m, n)
    return a.reshape(count, m, k), b, paired.reshape(count, m, k)[:, 0], c


def _places(
    geometry: TileGeometry, codes: NDArray[Any], dense: NDArray[np.bool_], phase: NDArray[Any]
) -> NDArray[np.int32]:
    """The place of the window that each value multiplies: steps x m x k."""
    pattern, count = geometry.pattern, len(codes)
    places = np.argsort(geometry.dense_places).reshape(geometry.phases, 1, geometry.k)[phase]
    places = np.broadcast_to(places, (count, geometry.m, geometry.k))
    if pattern.dense:
        return places.astype(np.int32)
    values = np.zeros((codes[..., 0].size, geometry.k), np.uint8)
    indices = nm.from_codes(values, codes.reshape(len(values), -1), pattern).indices.astype(np.int32)
    chosen = indices[..., None] * pattern.pair + np.arange(pattern.pair)
    chosen = chosen.reshape(len(values), geometry.groups, geometry.keep)
    chosen += np.arange(geometry.groups)[:, None] * geometry.group
    sparse = chosen.reshape(places.shape)
    return np.where(dense[:, None, None], places, sparse).astype(np.int32)
