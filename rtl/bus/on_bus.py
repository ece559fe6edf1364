"""A core behind registers, on one of the buses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from zeroskip.rtl.bus.flat import connect_flat, flat_members


class OnBus(wiring.Component):
    """What all cores on buses have in common. A class for a bus says the name of its `port`, and which `adapter` makes
    accesses of it; that for a core gives the `shell`, which has the ports `access` and `irq`, and its other `members`.
    """

    port: str
    adapter: Callable[[int], Any]
    access_latency: int
    """Cycles from an access to a register to its answer."""

    def __init__(self, shell: Any, members: Mapping[str, wiring.Member]) -> None:
        self.shell = shell
        self.described = shell.described
        self._adapter = type(self).adapter(self.described.address_bits)
        super().__init__({**flat_members(self.port, self._adapter.bus.signature), **members, "irq": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.shell = self.shell
        m.submodules.adapter = self._adapter
        wiring.connect(m, self._adapter.access, self.shell.access)
        connect_flat(m, self, self.port, self._adapter.bus)
        m.d.comb += self.irq.eq(self.shell.irq)
        return m
