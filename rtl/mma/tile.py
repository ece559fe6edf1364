# amaranth: UnusedElaboratable=no
# (a shared dot unit is emitted once, and the design holds instances of it: zeroskip.rtl.hierarchy)
"""The N:M sparse matrix tile."""

from __future__ import annotations

import itertools
from typing import Any

from amaranth.hdl import Array, Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.rtl.hierarchy import emit_once, keep_apart
from zeroskip.rtl.mma.checker import Checker
from zeroskip.rtl.mma.floats import unpack, unpacked_bits
from zeroskip.rtl.mma.layouts import dot_class, results_layout, step_layout, timing
from zeroskip.rtl.mma.selector import Selector
from zeroskip.rtl.mma.timing import dot_control


def held_bits(geometry: TileGeometry) -> int:
    """Width of an operand as a multiplier takes it."""
    operand = geometry.operand
    return unpacked_bits(operand) if isinstance(operand, FloatFormat) else operand.operand_bits


def held(value: Value, geometry: TileGeometry) -> Value:
    """An operand as a multiplier takes it: a floating-point number is unpacked."""
    operand = geometry.operand
    return unpack(value, operand) if isinstance(operand, FloatFormat) else value


class DotUnit(wiring.Component):
    """One element of the tile: selects values of a column of B by the codes of a row of A, multiplies and adds. The
    operands are registered as the multipliers take them (held): between those and the registers lies nothing.

    Latency: that of the dot-product unit plus one cycle. Throughput: one step a cycle.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    a : array of k held operands, in
        Kept values of a row of A. They enter one cycle after the other inputs, because one register holds a row's
        values for all columns.
    codes : array of groups codes, in
        Their metadata; no port if the pattern is dense.
    window : array of window operands, in
        A column of B.
    c : result bits, in
        What the sum begins with, if the step is its first.
    control : dot_control, in
        The tile's signals to all units.
    d : result bits, out
        The sum as it was written last.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        width = geometry.operand.operand_bits
        ports = {
            "a": In(data.ArrayLayout(held_bits(geometry), geometry.k)),
            "window": In(data.ArrayLayout(width, geometry.window)),
            "c": In(geometry.result.bits),
            "control": In(dot_control(timing(geometry))),
            "d": Out(geometry.result.bits),
        }
        if not geometry.pattern.dense:
            ports["codes"] = In(data.ArrayLayout(geometry.pattern.code_bits, geometry.groups))
        super().__init__(ports)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        dot = dot_class(self.geometry)(self.geometry)
        m.submodules.dot = keep_apart(dot, platform, parameters=self.geometry, clocked=True)
        wiring.connect(m, wiring.flipped(self.control), dot.control)
        chosen: Any = self.window
        if not self.geometry.pattern.dense:
            m.submodules.selector = selector = Selector(self.geometry)
            m.d.comb += [selector.codes.eq(self.codes), selector.window.eq(self.window)]
            chosen = selector.chosen
        with m.If(self.control.en):
            m.d.sync += [dot.b[i].eq(held(chosen[i], self.geometry)) for i in range(self.geometry.k)]
            m.d.sync += dot.c.eq(self.c)
        m.d.comb += [dot.a.eq(self.a), self.d.eq(dot.d)]
        return m


class Tile(wiring.Component):
    """`m` x `n` dot-product units: D = A B + C for `m` rows of A and `n` columns of B, `k` kept values a step.

    A sum is a chain of steps of one `slot`, from `first` to `last`. `slots` sums may be under way in any order. A dense
    matrix takes `phases` steps a window instead of one.

    Latency: a result is at `result` `latency` cycles after its last step entered. Throughput: one step a cycle. A step
    waits until `loop` cycles after the previous step of its slot. Everything stops while a result waits.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    step : stream of step_layout, in
        The steps.
    result : stream of results_layout, out
        The sums, in the order of their last steps.
    clear : 1, in
        Clears `illegal`.
    illegal : 1, out
        Set in the cycle after a step with an illegal code entered (zeroskip.model.mma.format.illegal), and kept until
        `clear`; the result is that of the multiplexers.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "step": In(stream.Signature(step_layout(geometry))),
                "result": Out(stream.Signature(results_layout(geometry))),
                "clear": In(1),
                "illegal": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the last step of a sum to its result."""
        return timing(self.geometry).stages + 1

    @property
    def loop(self) -> int:
        """Least number of cycles from a step to the next of the same slot."""
        return timing(self.geometry).loop

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        geometry = self.geometry
        control = dot_control(timing(geometry)).create(path=("control",))
        enter = self._advance(m, control)

        # One register holds a row's values and codes for all columns.
        values = Signal(data.ArrayLayout(data.ArrayLayout(held_bits(geometry), geometry.k), geometry.m))
        with m.If(control.en):
            for row in range(geometry.m):
                kept = self.step.payload.a[row]
                m.d.sync += [values[row][i].eq(held(kept[i], geometry)) for i in range(geometry.k)]
        codes = None if geometry.pattern.dense else self._check(m, enter)

        units = []
        for row in range(geometry.m):
            for column in range(geometry.n):
                unit = DotUnit(geometry)
                units.append(unit)
                m.submodules[f"unit{row}_{column}"] = emit_once(unit, platform, parameters=geometry)
                m.d.comb += [
                    unit.a.eq(values[row]),
                    unit.window.eq(self.step.payload.b[column]),
                    unit.c.eq(self.step.payload.c[row][column]),
                    self.result.payload[row][column].eq(unit.d),
                ]
                if codes is not None:
                    m.d.comb += unit.codes.eq(codes[row])
        wiring.connect(m, control, *(unit.control for unit in units))
        return m

    def _advance(self, m: Module, control: Any) -> Value:
        """Moves steps through the pipeline, and signals to the units when to take and when to write a sum. Returns
        whether a step enters."""
        step, times = self.step.payload, timing(self.geometry)
        advance, enter = control.en, Signal()
        # Stage p holds the step that entered p cycles ago.
        stage_layout = data.StructLayout({"valid": 1, "first": 1, "last": 1, "slot": len(step.slot)})
        stages = [Signal(stage_layout, name=f"stage{p}") for p in range(1, times.stages + 2)]
        same = Cat(stage.valid & (stage.slot == step.slot) for stage in stages[: times.loop - 1]).any()
        m.d.comb += [
            self.result.valid.eq(stages[-1].valid & stages[-1].last),
            advance.eq(~self.result.valid | self.result.ready),
            self.step.ready.eq(advance & (step.first | ~same)),
            enter.eq(self.step.valid & self.step.ready),
        ]
        with m.If(advance):
            m.d.sync += [
                stages[0].valid.eq(enter),
                stages[0].first.eq(step.first),
                stages[0].last.eq(step.last),
                stages[0].slot.eq(step.slot),
                *(stage.eq(before) for before, stage in itertools.pairwise(stages)),
            ]
        taken, last = stages[times.take - 1], stages[times.stages - 1]
        m.d.comb += [
            control.first.eq(taken.first),
            control.take_slot.eq(taken.slot),
            control.write.eq(last.valid),
            control.write_slot.eq(last.slot),
        ]
        return enter

    def _check(self, m: Module, enter: Value) -> Signal:
        """The codes of a step, those of its phase if it is dense; and the flag for illegal ones."""
        geometry, step = self.geometry, self.step.payload
        codes = Signal.like(step.codes)
        fixed = Array(Const(geometry.pattern.phase_code(p), geometry.pattern.code_bits) for p in range(geometry.phases))
        legal = []
        for row in range(geometry.m):
            for group in range(geometry.groups):
                m.d.comb += codes[row][group].eq(Mux(step.dense, fixed[step.phase], step.codes[row][group]))
            m.submodules[f"checker{row}"] = checker = Checker(geometry)
            m.d.comb += checker.codes.eq(codes[row])
            legal.append(~checker.illegal)
        with m.If(self.clear):
            m.d.sync += self.illegal.eq(0)
        with m.If(enter & ~Cat(*legal).all()):
            m.d.sync += self.illegal.eq(1)
        return codes
