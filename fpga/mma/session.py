"""Plays the programs of the Gemm player (zeroskip.cosim.mma.program) on a board."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from zeroskip.cosim.session import Setup
from zeroskip.cosim.simulator import SimulatorError
from zeroskip.fpga.host.host import Host
from zeroskip.fpga.host.requests import Burst, Request, read_request, run_request
from zeroskip.fpga.mma.linked import TARGET_BITS, gemm_sizes
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.link.protocol import Command
from zeroskip.rtl.mma.layouts import job_layout, load_layout, read_layout


class GemmSession:
    """A board that takes the place of the simulator's session. A program is one job of the host: it loads all that it
    needs, so that it may be repeated. Boards record no waveforms."""

    waveform: Path | None = None
    setup = Setup(load="ports")

    def __init__(self, host: Host, geometry: TileGeometry) -> None:
        self.host = host
        self._geometry = geometry
        self._sizes = gemm_sizes(geometry)

    def play(self, program: Iterable[bytes], on_starts: Callable[[int], None] = lambda _: None) -> bytes:
        """The record that the player would write. Raises BoardError where a job is not done after its limit."""
        requests = list(self._requests(b"".join(program)))
        (answers,) = self.host.perform([requests])
        record: list[bytes] = []
        banks: list[list[bytes]] = []
        for request, answer in zip(requests, answers, strict=True):
            if request.command == Command.RUN:
                flags, cycles = struct.unpack("<BI", answer)
                record.append(b"C %d %d" % (cycles, flags))
            elif request.command == Command.READ:
                size = self._sizes.result_bytes
                banks.append([answer[at : at + size][::-1].hex().encode() for at in range(0, len(answer), size)])
                if len(banks) == self._geometry.m:
                    # The player reads row by row of each word.
                    record += [b"D " + word for row in zip(*banks, strict=True) for word in row]
                    banks = []
        on_starts(sum(line.startswith(b"C") for line in record))
        return b"\n".join(record)

    def failed(self, starts: range, message: str) -> SimulatorError:
        return SimulatorError(message)

    def fail(self, starts: range) -> None:
        """Nothing is recorded."""

    def _requests(self, program: bytes) -> Iterable[Request]:
        at = 0
        load_bytes, job_bytes = -(-load_layout(self._geometry).size // 8), -(-job_layout(self._geometry).size // 8)
        while at < len(program):
            command, count = struct.unpack_from(">cI", program, at)
            at += 5
            if command == b"L":
                yield from self._load(program[at : at + count * load_bytes], load_bytes)
                at += count * load_bytes
            elif command == b"S":
                (limit,) = struct.unpack_from(">I", program, at)
                at += 4 + job_bytes
                yield run_request(program[at - job_bytes : at][::-1], limit)
            else:
                (base,) = struct.unpack_from(">I", program, at)
                at += 4
                address_bits = read_layout(self._geometry)["address"].width
                for bank in range(self._geometry.m):
                    yield read_request(bank << address_bits | base, count, self._sizes.result_bytes)

    def _load(self, transfers: bytes, size: int) -> Iterable[Request]:
        """Transfers to following addresses of one bank, from 0 on."""
        fields = load_layout(self._geometry)
        words = [int.from_bytes(transfers[at : at + size], "big") for at in range(0, len(transfers), size)]

        def field(word: int, name: str) -> int:
            return word >> fields[name].offset & ((1 << fields[name].width) - 1)

        assert [field(word, "address") for word in words] == list(range(len(words)))
        width = self._sizes.data_bytes
        burst = Burst(
            target=field(words[0], "bank") << TARGET_BITS | field(words[0], "target"),
            address=0,
            width=width,
            words=b"".join(field(word, "data").to_bytes(width, "little") for word in words),
        )
        return burst.requests(self.host.longest)
