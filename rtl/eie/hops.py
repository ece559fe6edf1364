# amaranth: UnusedElaboratable=no
"""The registers between the control unit and the PEs of a large array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.hierarchy import emit_once
from zeroskip.rtl.own_register import OwnRegister

HOP_GROUP = 8
"""PEs whose answers come together in one register."""

NEIGHBOURS = 4
"""PEs that share the last register of what need not be close to each of them: with one a PE, 32 PEs were slower on an
ECP5, since its wires ran out. They are the PEs to which one transfer brings inputs (EieGeometry.activation_lanes)."""


class Hops:
    """Brings signals from the control unit to the PEs and back, through `geometry.hops` registers on each way; a small
    array has none.

        control unit -+- register - register -> PE 0      to_each: each PE has registers of its own, near to it
                      +- register - register -> PE 1
                      :
                      +- register - register -+> PE 0     to_neighbours: NEIGHBOURS share them
                      :                       +> PE 1
                      +- register - register -> PE 0      to_one: what only one PE is sent

        PE 0 -+ or - register -+ or -> control unit       together: the disjunction of what the PEs send, each of
        PE 1 -+                |                          HOP_GROUP PEs in a register
         :                     |
        PE 8 -+ or - register -+

    Registers are added to `m`; their names begin with `name`. Strobes have to be `resets`; what means nothing until its
    strobe is high needs no reset, whose net would be long and take wires from the others.
    """

    def __init__(self, m: Module, platform: Any, geometry: EieGeometry) -> None:
        self._m = m
        self._platform = platform
        self._pes = geometry.pes
        self._hops = geometry.hops

    def to_each(self, signals: Value, name: str, *, resets: bool = False) -> Iterator[Value]:
        """Signals to all PEs, as each of them sees them."""
        for pe in range(self._pes):
            yield self.to_one(signals, f"{name}_{pe}", resets=resets)

    def to_neighbours(self, signals: Value, name: str, *, resets: bool = False) -> list[Value]:
        """Signals to all PEs, as each of them sees them."""
        seen: list[Value] = []
        for first in range(0, self._pes, NEIGHBOURS):
            seen += [self.to_one(signals, f"{name}_{first}", resets=resets)] * min(NEIGHBOURS, self._pes)
        return seen

    def to_one(self, signals: Value, name: str, *, resets: bool = False) -> Value:
        """Signals to one PE, or to some, through registers that are not merged with those of others that are equal."""
        for hop in range(self._hops):
            register = OwnRegister(len(signals), resets=resets)
            self._m.submodules[f"{name}_down_{hop}"] = emit_once(
                register, self._platform, parameters=(len(signals), resets)
            )
            self._m.d.comb += register.i.eq(signals)
            signals = register.o
        return signals

    def strobe_to_one(self, strobe: Value, name: str) -> Value:
        """A strobe that no other PE sees: its registers have nothing that they could be merged with."""
        return self._through(strobe, f"{name}_down", resets=True)

    def from_all(self, signals: Value, name: str, advance: Value) -> Value:
        """Signals of all PEs side by side, as the control unit sees them. Their registers take a new value while
        `advance` is high."""
        return self._through(signals, f"{name}_down", resets=False, advance=advance)

    def _through(self, signal: Value, name: str, *, resets: bool, advance: Value | None = None) -> Value:
        for hop in range(self._hops):
            register = Signal.like(signal, name=f"{name}_{hop}", reset_less=not resets)
            self._m.d.sync += register.eq(signal if advance is None else Mux(advance, signal, register))
            signal = register
        return signal

    def together(self, signals: Sequence[Value], name: str, *, resets: bool = False) -> Value:
        """A signal of each PE, as the control unit sees them: their disjunction."""
        for hop in range(self._hops):
            groups = [signals[first : first + HOP_GROUP] for first in range(0, len(signals), HOP_GROUP)]
            signals = [
                Signal.like(group[0], name=f"{name}_up_{hop}_{i}", reset_less=not resets)
                for i, group in enumerate(groups)
            ]
            self._m.d.sync += [signal.eq(reduce(or_, group)) for signal, group in zip(signals, groups, strict=True)]
        return reduce(or_, signals)
