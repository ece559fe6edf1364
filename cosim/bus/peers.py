"""Peers of a core on a bus: one that accesses registers, those of the streams, and checks of their handshakes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from zeroskip.cosim.bus.hosts import HOSTS, Host, Refused, pauses
from zeroskip.cosim.bus.rules import Rules
from zeroskip.rtl.bus.register_map import REGISTER_BYTES, RegisterMap

STREAM = ("data", "keep", "last")
"""What in a channel of a stream must stand still until it is taken."""


CLOCK_NS = 2
"""The period of the clock."""


@dataclass(kw_only=True, eq=False)
class Peers:
    """What is around a core on a bus (HOSTS). `described` is the map that software goes by."""

    dut: Any
    bus: str
    described: RegisterMap
    host: Host = field(init=False)
    images: Any = field(init=False)
    results: Any = field(init=False)

    async def begin(self, *, pausing: bool) -> None:
        """Starts clock and peers, and resets the core: before the first edge, as registers start at random."""
        dut = self.dut
        dut.rst.value = 1
        await Timer(1, "ns")
        cocotb.start_soon(Clock(dut.clk, CLOCK_NS, unit="ns").start(start_high=False))
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.host = HOSTS[self.bus](dut)
        channels = self.host.CHANNELS
        if pausing:
            self.host.pause(cocotb.RANDOM_SEED)
        if hasattr(dut, "s_axis_tvalid"):
            channels = {**channels, "s_axis_t": STREAM}
            self.images = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
            if pausing:
                self.images.set_pause_generator(pauses(cocotb.RANDOM_SEED + 10))
        if hasattr(dut, "m_axis_tvalid"):
            channels = {**channels, "m_axis_t": STREAM}
            self.results = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
            if pausing:
                self.results.set_pause_generator(pauses(cocotb.RANDOM_SEED + 11))
        for name, payload in channels.items():
            cocotb.start_soon(self._stands_still(name, payload))
        cocotb.start_soon(self._keeps(self.host.RULES))
        await self.reset()

    async def reset(self) -> None:
        self.dut.rst.value = 1
        self.host.reset()
        for _ in range(4):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)

    async def _keeps(self, rules: type[Rules]) -> None:
        """Checks the rules of a bus in each cycle."""
        signals = {name: getattr(self.dut, f"{rules.prefix}{name}") for name in rules.signals}
        kept = rules()
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.rst.value == 1:
                kept = rules()
            else:
                kept.step({name: int(signal.value) for name, signal in signals.items()})

    async def _stands_still(self, channel: str, payload: tuple[str, ...]) -> None:
        """Once valid is high, it stays high, and what is offered stays, until ready is."""
        signals = {end: getattr(self.dut, f"{channel}{end}") for end in ("valid", "ready", *payload)}
        waiting: tuple[int, ...] | None = None
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.rst.value == 1:
                waiting = None
                continue
            valid = signals["valid"].value == 1
            offered = tuple(int(signals[name].value) for name in payload) if valid else None
            assert waiting is None or offered == waiting, f"{channel} took {waiting} back for {offered}"
            waiting = offered if valid and signals["ready"].value != 1 else None

    async def write(self, address: int, data: bytes, *, refused: bool = False) -> None:
        """Host.write."""
        await self.host.write(address, data, refused=refused)

    async def read(self, address: int, length: int = REGISTER_BYTES, *, refused: bool = False) -> bytes:
        """Host.read."""
        return await self.host.read(address, length, refused=refused)

    async def put(self, register: str, **fields: int) -> None:
        """Writes a register whose other fields are zero."""
        described = self.described.register(register)
        places = {one.name.lower(): one.low for one in described.fields}
        value = sum(number << places[name] for name, number in fields.items())
        await self.write(described.address, value.to_bytes(REGISTER_BYTES, "little"))

    async def get(self, register: str, name: str | None = None) -> int:
        """A field of a register, by default the one that has its name."""
        described = self.described.register(register)
        value = int.from_bytes(await self.read(described.address), "little")
        one = next(one for one in described.fields if one.name == (name or register))
        return value >> one.low & ((1 << one.width) - 1)

    async def events(self) -> set[str]:
        """The events that have happened; they are cleared."""
        described = self.described.register("EVENTS")
        data = await self.read(described.address)
        await self.write(described.address, data)
        value = int.from_bytes(data, "little")
        return {one.name for one in described.fields if value >> one.low & 1}

    def send(self, data: bytes, keep: list[int] | None = None) -> None:
        """A packet on the stream of images."""
        self.images.send_nowait(AxiStreamFrame(data, tkeep=keep))

    async def receive(self) -> bytes:
        """A packet of the stream of results."""
        return bytes((await self.results.recv()).tdata)

    async def refused(self, address: int, data: bytes | None, event: str) -> None:
        """An access is answered by an error, and flagged by the event, which is cleared."""
        error = self.host.ERRORS["UNMAPPED" if event == "UNMAPPED" else "REFUSED"]
        with pytest.raises(Refused, match=error):
            await (self.read(address, refused=True) if data is None else self.write(address, data, refused=True))
        assert (await self.events()) - {"DONE"} == {event}, f"{address:#x}"
