"""Software's side of each bus: a host makes one access of 32 bits at a time, and says how it was answered."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Protocol

from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from zeroskip.cosim.bus.rules import ApbRules, AxiLiteRules, Rules, WishboneRules
from zeroskip.rtl.bus.register_map import REGISTER_BYTES


class Refused(Exception):
    """An access that was answered by an error, in the words of the bus."""


def pauses(seed: int) -> Iterator[bool]:
    """Bursts of pauses and of transfers, from one cycle to a few."""
    generator = random.Random(seed)
    while True:
        for pause in (True, False):
            for _ in range(generator.randint(0, 4)):
                yield pause


class Host(Protocol):
    """`ERRORS` are the answers to an access to nothing, and to one that is refused for another reason. `CHANNELS` are
    channels with a handshake of valid and ready, and what in each must stand still until it is taken. `RULES` are those
    of the standard."""

    ERRORS: ClassVar[dict[str, str]]
    CHANNELS: ClassVar[dict[str, tuple[str, ...]]]
    RULES: ClassVar[type[Rules]]

    def pause(self, seed: int) -> None:
        """Pauses at random from now on."""
        ...

    def reset(self) -> None:
        """Forgets what was under way, while the core is reset."""
        ...

    async def write(self, address: int, data: bytes, *, refused: bool = False) -> None:
        """With `refused`, an error is expected; some peers must know. Raises Refused where any of the accesses is."""
        ...

    async def read(self, address: int, length: int, *, refused: bool = False) -> bytes:
        """With `refused`, an error is expected. Raises Refused where any of the accesses is."""
        ...


class AxiHost:
    """AXI4-Lite, by cocotbext-axi."""

    ERRORS: ClassVar = {"UNMAPPED": "DECERR", "REFUSED": "SLVERR"}
    CHANNELS: ClassVar = {
        "s_axi_aw": ("addr", "prot"),
        "s_axi_w": ("data", "strb"),
        "s_axi_b": ("resp",),
        "s_axi_ar": ("addr", "prot"),
        "s_axi_r": ("data", "resp"),
    }
    RULES: ClassVar[type[Rules]] = AxiLiteRules

    def __init__(self, dut: Any) -> None:
        self._master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)

    def pause(self, seed: int) -> None:
        write, read = self._master.write_if, self._master.read_if
        channels = [write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel]
        for number, channel in enumerate(channels):
            channel.set_pause_generator(pauses(seed + number))

    def reset(self) -> None:
        """The peer sees the reset itself."""

    async def write(self, address: int, data: bytes, *, refused: bool = False) -> None:
        answer = await self._master.write(address, data)
        if answer.resp is not AxiResp.OKAY:
            raise Refused(answer.resp.name)

    async def read(self, address: int, length: int, *, refused: bool = False) -> bytes:
        answer = await self._master.read(address, length)
        if answer.resp is not AxiResp.OKAY:
            raise Refused(answer.resp.name)
        return bytes(answer.data)


class _WordHost:
    """A host whose accesses are made one after the other."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self._pauses: Iterator[bool] | None = None

    def pause(self, seed: int) -> None:
        self._pauses = pauses(seed)

    def reset(self) -> None:
        """A transfer that is under way goes on: the core answers it after the reset."""

    async def access(self, address: int, data: int | None, strobe: int, refused: bool) -> int:
        """One access of 32 bits; without data, a read. Raises Refused."""
        raise NotImplementedError

    async def _one(self, address: int, data: int | None, strobe: int, refused: bool) -> int:
        while self._pauses is not None and next(self._pauses):
            await RisingEdge(self.dut.clk)
        return await self.access(address, data, strobe, refused)

    async def write(self, address: int, data: bytes, *, refused: bool = False) -> None:
        failed: Refused | None = None
        for word, first, part in _words(address, len(data)):
            lane = (address + first) % REGISTER_BYTES
            strobe = ((1 << part) - 1) << lane
            value = int.from_bytes(data[first : first + part], "little") << 8 * lane
            try:
                await self._one(word, value, strobe, refused)
            except Refused as error:
                failed = error
        if failed is not None:
            raise failed

    async def read(self, address: int, length: int, *, refused: bool = False) -> bytes:
        found = b""
        for word, first, part in _words(address, length):
            lane = (address + first) % REGISTER_BYTES
            value = await self._one(word, None, 0xF, refused)
            found += value.to_bytes(REGISTER_BYTES, "little")[lane : lane + part]
        return found


def _words(address: int, length: int) -> Iterator[tuple[int, int, int]]:
    """The words of an access: their addresses, where in the access each begins, and how many bytes of it there are."""
    first = 0
    while first < length:
        part = min(length - first, REGISTER_BYTES - (address + first) % REGISTER_BYTES)
        yield (address + first) // REGISTER_BYTES * REGISTER_BYTES, first, part
        first += part


class ApbHost(_WordHost):
    """APB4, by cocotbext-apb."""

    ERRORS: ClassVar = {"UNMAPPED": "PSLVERR", "REFUSED": "PSLVERR"}
    CHANNELS: ClassVar[dict[str, tuple[str, ...]]] = {}
    RULES: ClassVar[type[Rules]] = ApbRules

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        # The peers of APB and Wishbone are there for development alone.
        from cocotbext.apb import Apb4Bus, ApbMaster

        self._requester = ApbMaster(Apb4Bus.from_prefix(dut, "s_apb"), dut.clk)
        self._requester.log.setLevel("ERROR")

    async def access(self, address: int, data: int | None, strobe: int, refused: bool) -> int:
        # The peer ends the test where an error comes that was not expected, or the other way round.
        if data is None:
            found = await self._requester.read(address, error_expected=refused)
        else:
            found = bytes(REGISTER_BYTES)
            await self._requester.write(address, data, strb=strobe, error_expected=refused)
        if refused:
            raise Refused("PSLVERR")
        return int.from_bytes(found, "little")


class WishboneHost(_WordHost):
    """Wishbone B4 in standard mode, by cocotbext-wishbone."""

    ERRORS: ClassVar = {"UNMAPPED": "ERR", "REFUSED": "ERR"}
    CHANNELS: ClassVar[dict[str, tuple[str, ...]]] = {}
    RULES: ClassVar[type[Rules]] = WishboneRules
    SIGNALS: ClassVar = {name: name for name in ("cyc", "stb", "we", "adr", "ack", "sel", "err")} | {
        "datwr": "dat_w",
        "datrd": "dat_r",
    }

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        from cocotbext.wishbone.driver import WBOp, WishboneMaster

        self._operation = WBOp
        self._master = WishboneMaster(dut, "s_wb", dut.clk, width=32, signals_dict=self.SIGNALS)
        self._master.log.setLevel("ERROR")

    def reset(self) -> None:
        # The peer waits for the end of an access that was cancelled.
        self._master.busy = False
        self._master.bus.cyc.value = 0
        self._master.bus.stb.value = 0

    async def access(self, address: int, data: int | None, strobe: int, refused: bool) -> int:
        (answer,) = await self._master.send_cycle([self._operation(address, data, sel=strobe)])
        if answer.ack != 1:
            raise Refused("ERR")
        return int(answer.datrd)


HOSTS: dict[str, Callable[[Any], Host]] = {"axi": AxiHost, "apb": ApbHost, "wishbone": WishboneHost}
"""The hosts, by the names of the buses."""
