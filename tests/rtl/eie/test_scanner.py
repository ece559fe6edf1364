from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from support.bench import Bench, geometry

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.scanner import NonzeroScanner, scan_latency

NARROW = geometry(pes=4, activation_rows=48)
"""Three windows of 64."""
HOPS = geometry(pes=32, activation_rows=6)
"""The same, behind two registers."""
WIDE = geometry(pes=128, activation_rows=2)
"""Two windows of 128."""


@dataclass
class Layer:
    inputs: int
    bias: bool
    flags: list[bool]
    """Of every activation of the array: those behind the inputs are stale."""


def layer(geometry: EieGeometry, inputs: int, bias: bool, density: float, seed: int) -> Layer:
    random = Random(seed)
    flags = [random.random() < (density if j < inputs else 0.5) for j in range(geometry.activations)]
    return Layer(inputs, bias, flags)


@dataclass
class Scan:
    found: list[dict[str, int]]
    cycles: list[int]
    """Counted from the one behind `begin`."""
    exhausted: int
    """The cycle from which on `exhausted` was high."""


def rtl_scanner(geometry: EieGeometry, layers: list[Layer], *, seed: int = 0, pause: float = 0.0) -> list[Scan]:
    """Scans one layer after the other, each as soon as that before it is exhausted."""
    m = Module()
    m.submodules.dut = dut = NonzeroScanner(geometry)
    flags = Signal(geometry.activations)
    seen = flags.word_select(dut.window, geometry.window)
    for _ in range(2 * geometry.hops):
        behind = Signal(geometry.window)
        with m.If(dut.advance):
            m.d.sync += behind.eq(seen)
        seen = behind
    m.d.comb += dut.flags.eq(seen)
    bench, scans = Bench(m, seed), []

    async def scanning(ctx: Any) -> None:
        for layer in layers:
            ctx.set(dut.begin, 1)
            ctx.set(dut.o.ready, 0)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            # Between two layers, the limits are those of neither.
            ctx.set(dut.inputs, bench.random.getrandbits(len(dut.inputs)))
            ctx.set(dut.bias, bench.random.getrandbits(1))
            ctx.set(flags, sum(flag << j for j, flag in enumerate(layer.flags)))
            scan, cycle, exhausted = Scan([], [], 0), 0, False
            while not exhausted:
                if cycle == 1:
                    ctx.set(dut.inputs, layer.inputs)
                    ctx.set(dut.bias, layer.bias)
                ctx.set(dut.o.ready, bench.random.random() >= pause)
                sampled = ctx.tick().sample(dut.o.valid, dut.o.ready, dut.o.p.index, dut.o.p.bias, dut.exhausted)
                _, _, valid, ready, index, bias, exhausted = await sampled
                if valid and ready:
                    scan.found.append({"index": index, "bias": bias})
                    scan.cycles.append(cycle)
                scan.exhausted = cycle
                cycle += 1
            scans.append(scan)

    bench.add(scanning)
    bench.run()
    return scans


def expected(geometry: EieGeometry, layer: Layer) -> Scan:
    """Without back-pressure: a window is examined when the last group of the one before has moved on, which waits for
    the group before it, and goes out two cycles later; one without flags is passed over."""
    look, last = scan_latency(geometry) - 2, 0
    found: list[dict[str, int]] = []
    cycles: list[int] = []
    windows = [
        [{"index": j, "bias": 0} for j in range(first, min(first + geometry.window, layer.inputs)) if layer.flags[j]]
        for first in range(0, layer.inputs, geometry.window)
    ]
    if layer.bias:
        windows.append([{"index": layer.inputs, "bias": 1}])
    for window in windows:
        moves = 0
        for _, group in groupby(window, lambda column: column["index"] // 16):
            moves = max(look + 1, last)
            columns = list(group)
            found += columns
            cycles += range(moves + 1, moves + 1 + len(columns))
            last = cycles[-1]
        look = moves or look + 1
    return Scan(found, cycles, max(look, last + 1))


LENGTHS = [1, 5, 63, 64, 65, 128, 130, 191, 192]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("geometry", [NARROW, HOPS], ids=["narrow", "hops"])
def test_one_a_cycle(geometry: EieGeometry, bias: bool, density: float) -> None:
    layers = [layer(geometry, inputs, bias, density, seed=inputs) for inputs in LENGTHS]
    assert rtl_scanner(geometry, layers) == [expected(geometry, each) for each in layers]


@pytest.mark.parametrize("pause", [0.3, 0.8])
@pytest.mark.parametrize("density", [0.02, 0.3])
@pytest.mark.parametrize("geometry", [NARROW, HOPS], ids=["narrow", "hops"])
def test_order_under_back_pressure(geometry: EieGeometry, pause: float, density: float) -> None:
    layers = [layer(geometry, inputs, inputs % 2 == 0, density, seed=inputs) for inputs in LENGTHS]
    scans = rtl_scanner(geometry, layers, seed=1, pause=pause)
    assert [scan.found for scan in scans] == [expected(geometry, each).found for each in layers]


def test_window_as_wide_as_the_array() -> None:
    layers = [layer(WIDE, inputs, inputs % 2 == 0, 0.2, seed=inputs) for inputs in (1, 127, 128, 129, 256)]
    assert rtl_scanner(WIDE, layers) == [expected(WIDE, each) for each in layers]


@pytest.mark.parametrize("position", [0, 1, 63, 64, 100, 191])
def test_a_single_one(position: int) -> None:
    single = Layer(192, False, [j == position for j in range(192)])
    (scan,) = rtl_scanner(NARROW, [single])
    assert scan.found == [{"index": position, "bias": 0}]
    assert scan == expected(NARROW, single)


def test_finds_nothing_before_it_begins() -> None:
    dut = NonzeroScanner(NARROW)
    bench = Bench(dut)

    async def setting(ctx: Any) -> None:
        ctx.set(dut.inputs, 100)
        ctx.set(dut.bias, 1)
        ctx.set(dut.flags, -1)

    bench.first(setting)
    trace = bench.trace(dut.o.valid, dut.exhausted)
    bench.run(settle=10)
    assert trace == [(0, 1)] * 10
