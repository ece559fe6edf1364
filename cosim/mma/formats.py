"""The tile's arithmetic in every format of every generation: blocks on the RTL against the golden model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zeroskip.cosim.mma.blocks import random_blocks
from zeroskip.cosim.mma.play import run_steps
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mma import format as nm
from zeroskip.model.mma.gemm import Operand
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.model.mma.golden import dot
from zeroskip.model.mma.numerics import GENERATIONS, OPERANDS, RESULTS
from zeroskip.rtl.mma.layouts import timing

CHAIN = 4
"""Blocks of the longer sums."""


def modes() -> list[TileGeometry]:
    """Tiles of one dot unit, for every mode that a generation has."""
    found = []
    for generation in GENERATIONS:
        for dtype in OPERANDS:
            for out in RESULTS:
                try:
                    found.append(mode_geometry(generation=generation, dtype=dtype, out=out, m=1, n=1))
                except ValueError:
                    continue
    return found


@dataclass(frozen=True, kw_only=True)
class FormatResult:
    geometry: TileGeometry
    blocks: int
    mismatches: int
    """Sums that differ in a bit."""


def check_format(
    geometry: TileGeometry, blocks: int, *, seed: int = 0, simulator: Simulator = Simulator.VERILATOR
) -> FormatResult:
    """At least `blocks` blocks (zeroskip.cosim.mma.blocks) with any codes, legal or not. Half of the blocks are
    separate sums; the others form sums of CHAIN blocks, as many at once as the tile has slots. A quarter of the sums
    run in dense mode."""
    rng = np.random.default_rng(seed)
    singles = _check_sums(geometry, -(-blocks // 2), 1, rng, seed, simulator)
    chains = _check_sums(geometry, -(-blocks // (2 * CHAIN)), CHAIN, rng, seed, simulator)
    return FormatResult(geometry=geometry, blocks=singles[0] + chains[0], mismatches=singles[1] + chains[1])


def _check_sums(
    geometry: TileGeometry, sums: int, length: int, rng: np.random.Generator, seed: int, simulator: Simulator
) -> tuple[int, int]:
    """How many blocks ran in sums of `length` blocks, and how many sums differ."""
    slots = timing(geometry).slots
    sums = -(-sums // slots) * slots
    count = sums * length
    a, chosen, c = random_blocks(geometry, count, rng)
    pattern = geometry.pattern
    codes = rng.integers(0, 1 << pattern.code_bits, (count, geometry.groups)).astype(nm.code_type(pattern))
    # A quarter of the sums are dense: their phases use fixed codes.
    dense = np.repeat(rng.random(sums) < 0.25, length)
    phase = rng.integers(0, geometry.phases, count)
    fixed = np.array([pattern.phase_code(p) for p in range(geometry.phases)], codes.dtype)
    chosen_codes = np.where(dense[:, None], fixed[phase][:, None], codes)
    operand = Operand(values=a, codes=chosen_codes, columns=geometry.window, pattern=pattern)
    window = random_blocks(geometry, -(-count * geometry.window // geometry.k), rng)[1]
    window = window.reshape(-1)[: count * geometry.window].reshape(count, geometry.window).copy()
    where = operand.where()
    np.put_along_axis(window, where, chosen, axis=1)

    # Interleave the sums: the first block of each slot, then the second of each.
    dropped = getattr(geometry.operand, "dropped", 0)
    of_sum = np.arange(count).reshape(-1, slots, length).swapaxes(1, 2).reshape(-1)
    position = np.arange(count).reshape(-1, length, slots)
    first, last = (np.zeros_like(position) for _ in range(2))
    first[:, 0], last[:, -1] = 1, 1
    fields: dict[str, Any] = {
        "a": a[of_sum] >> dropped,
        "b": window[of_sum] >> dropped,
        "c": c[of_sum, None],
        "codes": codes[of_sum],
        "first": first.reshape(-1),
        "last": last.reshape(-1),
        "slot": np.broadcast_to(np.arange(slots), position.shape).reshape(-1),
        "dense": dense[of_sum],
        "phase": phase[of_sum],
    }
    results, _ = run_steps(geometry, fields, simulator=simulator, seed=seed)

    terms = np.take_along_axis(window, where, axis=1)
    mode = {"generation": geometry.generation, "dtype": geometry.dtype, "out": geometry.out}
    expected = c[::length]
    # Block by block: integers saturate after each of the tile's steps, whatever their depth.
    for block in range(length):
        expected = dot(a[block::length], terms[block::length], expected, **mode)
    return count, int(np.count_nonzero(results[:, 0, 0] != expected))
