"""What a file that should be a bitstream holds, from its first bytes and its last."""

from __future__ import annotations

import re
from pathlib import Path

from zeroskip.fpga.boards.board import Board

_PREAMBLE = {"ecp5": b"\xff\xff\xbd\xb3", "ice40": b"\x7e\xaa\x99\x7e", "gowin": b"\n1010010111000011\n"}
"""What begins a bitstream, after a comment (Lattice TN-02039 and TN-02001, Gowin UG290); a Gowin's is text, a line of
it."""

_END = {
    "ecp5": rb"\x5e\0\0\0\xff{4}\s*$",
    "ice40": rb"\x01\x06\0*$",
    "gowin": rb"\n0000101[01]{57}\n1{64}\n0000100[01]{25}\n1{64}\n1{16}\s*$",
}
"""What ends it where no part is missing: the command that starts the device (of a Gowin, the check of the whole and the
end), and what pads the file."""

_LAST = 1024
"""Bytes in which the end is."""

_WITHIN = 64 * 1024
"""Bytes in which it begins: a Gowin's has some lines of comments before it."""

_VERIFY_ID = b"\xe2\x00\x00\x00"
"""The command of an ECP5's bitstream by which the chip refuses one for another chip; its number follows."""

CHIPS = {0x21111043: "12", 0x41111043: "25", 0x41112043: "45", 0x41113043: "85"}
"""The ECP5s (LFE5U) by that number, as in the names of their boards."""

_GW2AR_18 = b"\n00000110" + b"0" * 24 + f"{0x0000081B:032b}\n".encode()
"""The same command with its number in a Gowin's, that of the Tang Nano 20K's chip."""


def require_bitstream(file: Path, board: Board) -> None:
    """Raises ValueError unless `file` begins and ends as a bitstream for the FPGA of `board`, and OSError where it
    cannot be read. The device itself finds damage in between, by the checksums of the bitstream."""
    with file.open("rb") as opened:
        begin = opened.read(_WITHIN)
        opened.seek(max(0, file.stat().st_size - _LAST))
        end = opened.read()
    preamble = _PREAMBLE[board.family]
    at = begin.find(preamble)
    if at < 0:
        raise ValueError(
            f"{file} must be a bitstream for {board.title} from `zeroskip fpga build`, and does not begin as one"
        )
    if (ending := _END.get(board.family)) and not re.search(ending, end):
        raise ValueError(
            f"{file} must be a whole bitstream for {board.title}, and has no end: it was cut; copy or build it again"
        )
    if board.family == "gowin" and _GW2AR_18 not in begin:
        raise ValueError(f"{file} must be a bitstream for {board.title}, whose FPGA is a GW2AR-18; it is for another")
    if board.family != "ecp5":
        return
    own = re.search(r"-(\d+)", board.name)
    told = begin[at:].partition(_VERIFY_ID)[2][:4]
    chip = CHIPS.get(int.from_bytes(told, "big"))
    if own is None or chip != own[1]:
        found = "of an unknown size" if chip is None else f"LFE5U-{chip}F"
        wanted = board.title if own is None else f"{board.title}, whose FPGA is an LFE5U-{own[1]}F"
        raise ValueError(f"{file} must be a bitstream for {wanted}; it is one for an ECP5 {found}")
