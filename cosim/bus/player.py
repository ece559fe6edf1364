"""What packages of cores on buses have in common: the programs of their player (bus_player.v), and its buses."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bus.program import accesses
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES, RegisterMap

TITLES = {"axi": "AXI", "apb": "APB", "wishbone": "Wishbone", "axi-master": "AXI with lists in memory"}

REFUSED = {"axi": (2, 3), "apb": (1, 1), "wishbone": (1, 1), "axi-master": (2, 3)}
"""What the ports of the player (axi_port.v and the like) answer to an access that is refused, and to one to nothing."""


WRITES: dict[str, list[dict[str, Any]]] = {
    "axi": [
        {"name": "s_axi_awaddr", "wave": "x.=x............", "data": ["START"]},
        {"name": "s_axi_awvalid", "wave": "0.10............"},
        {"name": "s_axi_awready", "wave": "0.10............"},
        {"name": "s_axi_wdata", "wave": "x.=x............", "data": ["1"]},
        {"name": "s_axi_wvalid", "wave": "0.10............"},
        {"name": "s_axi_wready", "wave": "0.10............"},
        {"name": "s_axi_bresp", "wave": "x....=x.........", "data": ["OKAY"]},
        {"name": "s_axi_bvalid", "wave": "0....10........."},
    ],
    "apb": [
        {"name": "s_apb_paddr", "wave": "x.=..x..........", "data": ["START"]},
        {"name": "s_apb_psel", "wave": "0.1..0.........."},
        {"name": "s_apb_penable", "wave": "0..1.0.........."},
        {"name": "s_apb_pwrite", "wave": "x.1..x.........."},
        {"name": "s_apb_pwdata", "wave": "x.=..x..........", "data": ["1"]},
        {"name": "s_apb_pready", "wave": "0...10.........."},
        {"name": "s_apb_pslverr", "wave": "0..............."},
    ],
    "wishbone": [
        {"name": "s_wb_adr", "wave": "x.=...x.........", "data": ["START"]},
        {"name": "s_wb_cyc", "wave": "0.1...0........."},
        {"name": "s_wb_stb", "wave": "0.1...0........."},
        {"name": "s_wb_we", "wave": "x.1...x........."},
        {"name": "s_wb_dat_w", "wave": "x.=...x.........", "data": ["1"]},
        {"name": "s_wb_ack", "wave": "0....10........."},
        {"name": "s_wb_err", "wave": "0..............."},
    ],
}
"""A write of a register on each bus, and its answer, in WaveJSON."""
WRITES["axi-master"] = WRITES["axi"]


def signed(value: int) -> int:
    """A word of 32 bits as the player prints it."""
    value %= 1 << REGISTER_BITS
    return value - (value >> (REGISTER_BITS - 1) << REGISTER_BITS)


class BusProgram:
    """Commands of bus_player.v, and the lines that it must record."""

    def __init__(self, bus: str, described: RegisterMap, *, stream_bits: int = 0) -> None:
        self.described = described
        self._beat_bytes = stream_bits // 8
        self._refused, self._unmapped = REFUSED[bus]
        self.commands: list[bytes] = []
        self.expected: list[str] = []

    def write(self, writes: Iterable[tuple[int, bytes]]) -> None:
        """Writes that are obeyed."""
        pairs = list(accesses(writes))
        self.commands.append(struct.pack(">cI", b"W", len(pairs)) + b"".join(struct.pack(">II", *one) for one in pairs))

    def put(self, register: str, value: int) -> None:
        self.write([(self.described.register(register).address, value.to_bytes(REGISTER_BYTES, "little"))])

    def refused_write(self, register: str) -> None:
        """A write that is answered by an error."""
        address = self.described.register(register).address
        self.write([(address, bytes(REGISTER_BYTES))])
        self.expected.append(f"B {self._refused} {address}")

    def read_nothing(self) -> None:
        """A read behind the registers, where nothing is."""
        self.read(self.described.registers_size, [f"X{self._unmapped}"])

    def refusals(self, illegal: int) -> None:
        """A read and a write that are refused, and the events, of these bits, that they leave: read, and cleared."""
        self.read_nothing()
        self.refused_write("ID")
        self.read_register("EVENTS", illegal)
        self.put("EVENTS", illegal)

    def read(self, address: int, values: Iterable[int | str]) -> None:
        """Reads from an address on, and what they find."""
        found = [str(value) for value in values]
        self.commands.append(struct.pack(">cII", b"R", len(found), address))
        self.expected.append(" ".join(["R", *found]))

    def read_register(self, name: str, value: int) -> None:
        self.read(self.described.register(name).address, [signed(value)])

    def wait_until_idle(self, limit: int) -> None:
        self.wait_while("STATUS", limit)

    def wait_while(self, register: str, limit: int) -> None:
        """Reads a register until its lowest bit is zero, for at most so many cycles."""
        address = self.described.register(register).address
        self.commands.append(struct.pack(">cIII", b"P", address, 1, limit))

    def image(self, values: NDArray[np.int16]) -> None:
        """A packet on the stream."""
        data = values.astype("<i2").tobytes()
        beats = []
        for first in range(0, len(data), self._beat_bytes):
            part = data[first : first + self._beat_bytes]
            last = first + self._beat_bytes >= len(data)
            beats.append(part[::-1].rjust(self._beat_bytes, b"\0") + bytes([(1 << len(part)) - 1, last]))
        self.commands.append(struct.pack(">cI", b"I", len(beats)) + b"".join(beats))

    def results(self, rows: NDArray[np.int16], limit: int) -> None:
        """The packets that come."""
        self.commands.append(struct.pack(">cII", b"O", len(rows), limit))
        self.expected += [" ".join(["O", *map(str, row)]) for row in rows.tolist()]
