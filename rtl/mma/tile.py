# amaranth: UnusedElaboratable=no
# (where dot units are emitted once, one of them stands for all: zeroskip.rtl.hierarchy)
"""The N:M sparse matrix tile."""

from __future__ import annotations

import itertools
from typing import Any

from amaranth.hdl import Array, Cat, Const, Elaboratable, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import IntFormat
from zeroskip.rtl.hierarchy import emit_once
from zeroskip.rtl.mma.checker import Checker
from zeroskip.rtl.mma.float_dot import FloatDot
from zeroskip.rtl.mma.int_dot import IntDot
from zeroskip.rtl.mma.layouts import results_layout, step_layout, timing
from zeroskip.rtl.mma.selector import Selector
from zeroskip.rtl.mma.timing import control_ports


class DotUnit(wiring.Component):
    """One element of the tile: chooses from a column of B what a row of A multiplies, and sums up.

    `codes`, `window` and `c` enter together, `a` a cycle later: the tile keeps a row's values once for all columns.
    The control ports are those of the dot-product unit (zeroskip.rtl.mma.timing).
    """

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        width = geometry.operand.operand_bits
        ports = {
            "a": In(data.ArrayLayout(width, geometry.k)),
            "window": In(data.ArrayLayout(width, geometry.window)),
            "c": In(geometry.result.bits),
            **control_ports(timing(geometry)),
            "d": Out(geometry.result.bits),
        }
        if not geometry.pattern.dense:
            ports["codes"] = In(data.ArrayLayout(geometry.pattern.code_bits, geometry.groups))
        super().__init__(ports)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.dot = dot = (IntDot if isinstance(self.geometry.operand, IntFormat) else FloatDot)(self.geometry)
        chosen: Any = self.window
        if not self.geometry.pattern.dense:
            m.submodules.selector = selector = Selector(self.geometry)
            m.d.comb += [selector.codes.eq(self.codes), selector.window.eq(self.window)]
            chosen = selector.chosen
        with m.If(self.en):
            m.d.sync += [dot.b.eq(chosen), dot.c.eq(self.c)]
        m.d.comb += [
            dot.a.eq(self.a),
            *(getattr(dot, name).eq(getattr(self, name)) for name in control_ports(timing(self.geometry))),
            self.d.eq(dot.d),
        ]
        return m


class Tile(wiring.Component):
    """`m` x `n` dot-product units: D = A B + C for `m` rows of A and `n` columns of B, `k` kept values a step.

    A sum is a chain of steps of one `slot`, from `first` to `last`; its result leaves `result` `latency` cycles after
    its last step entered. `slots` sums may be under way in any order; a step enters every cycle where those of one slot
    are `loop` cycles apart, else it waits until they are. A full `result` stops everything.

    Dense matrices run at `phases` steps a window instead of one. `illegal` is set in the cycle after a step with an
    illegal code entered (zeroskip.model.mma.format.illegal) and stays so until `clear`; the result is that of the
    multiplexers.
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
        """Cycles from a step to the next of the same slot, at the least."""
        return timing(self.geometry).loop

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        geometry, times = self.geometry, timing(self.geometry)
        step = self.step.payload
        advance, enter = Signal(), Signal()

        # The way of a step: stage p is p cycles behind its entry.
        way = data.StructLayout({"valid": 1, "first": 1, "last": 1, "slot": len(step.slot)})
        stages = [Signal(way, name=f"stage{p}") for p in range(1, times.stages + 2)]
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

        # A row's values and codes serve all columns.
        values = Signal.like(step.a)
        with m.If(advance):
            m.d.sync += values.eq(step.a)
        if not geometry.pattern.dense:
            codes = Signal.like(step.codes)
            fixed = Array(
                Const(geometry.pattern.phase_code(p), geometry.pattern.code_bits) for p in range(geometry.phases)
            )
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

        taken, last = stages[times.take], stages[times.stages - 1]
        for row in range(geometry.m):
            for column in range(geometry.n):
                unit = DotUnit(geometry)
                m.submodules[f"unit{row}_{column}"] = emit_once(unit, platform, parameters=geometry)
                m.d.comb += [
                    unit.a.eq(values[row]),
                    unit.window.eq(step.b[column]),
                    unit.c.eq(step.c[row][column]),
                    unit.en.eq(advance),
                    unit.first.eq(taken.first),
                    unit.take_slot.eq(taken.slot),
                    unit.write.eq(last.valid),
                    unit.write_slot.eq(last.slot),
                    self.result.payload[row][column].eq(unit.d),
                ]
                if not geometry.pattern.dense:
                    m.d.comb += unit.codes.eq(codes[row])
        return m
