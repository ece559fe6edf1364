"""Reading a library of standard cells, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from support.cells import BUFFER, BUFFERS, FIVE, FLIP_FLOP, HEAD, INVERTER, INVERTER_GATE, NAND, with_clock_gates

from zeroskip.fpga.ppa.liberty import ClockGate, read_liberty


@pytest.mark.parametrize("content", [FIVE.encode(), gzip.compress(b"/* library (no) { */\n" + FIVE.encode())])
def test_cells_and_the_smallest_buffer(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "cells.lib").write_bytes(content)
    found = read_liberty(tmp_path / "cells.lib")
    assert found.name == "made_up"
    assert found.areas == {"BUF_BIG": 9, "BUF": BUFFER, "INV": INVERTER, "NAND": NAND, "DFF": FLIP_FLOP}
    assert found.buffer == "BUF"


WITHOUT_GATES = FIVE[: FIVE.index("  cell (BUF_BIG)")] + FIVE[FIVE.index("  cell (DFF)") :]
WITHOUT_BUFFERS = FIVE.replace("".join(BUFFERS), "")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"module top; endmodule", r"must be a Liberty file, which begins with library \(NAME\) \{$"),
        (b"", r"must be a Liberty file, which begins with"),
        (FIVE[:-3].encode(), r"must be a whole Liberty file, and 52 braces open, 51 close; was it cut\?$"),
        (f"{HEAD}{INVERTER_GATE}}}".encode(), r"must have flip-flops, and has none among 1 cells$"),
        (WITHOUT_GATES.encode(), r"must have buffers, and has none among 1 cells$"),
        (WITHOUT_BUFFERS.encode(), r"must have buffers, and has none among 3 cells$"),
        (b"library (none) { }", r"must have cells, and has none$"),
        (
            FIVE.replace("area : 3.0", "area : -3.0").encode(),
            r": area of cell NAND must be a number from 0, not '-3.0'$",
        ),
        (FIVE.replace("area : 3.0", "area : foo").encode(), r": area of cell NAND must be a number from 0, not 'foo'$"),
        (
            FIVE.replace("area : 3.0", "area : 1e999").encode(),
            r": area of cell NAND must be a number from 0, not '1e999'$",
        ),
        (
            FIVE.replace("cell_rise", "cel_rise").encode(),
            r": cell BUF_BIG must have cell_rise, as its delay comes from",
        ),
        (FIVE.replace("capacitance :", "capacity :").encode(), r": cell BUF_BIG must have capacitance, as its delay"),
        (gzip.compress(FIVE.encode())[:-20], r"must be a whole gzip file: "),
    ],
)
def test_what_is_no_library(content: bytes, error: str, tmp_path: Path) -> None:
    (tmp_path / "cells.lib").write_bytes(content)
    with pytest.raises(ValueError, match=error):
        read_liberty(tmp_path / "cells.lib")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"must be a Liberty file of standard cells, and there is no such file$"):
        read_liberty(tmp_path)


def test_the_smallest_gate_of_a_rising_clock(tmp_path: Path) -> None:
    file = tmp_path / "cells.lib"
    file.write_text(with_clock_gates(9.0, 7.0, 8.0))
    assert read_liberty(file).clock_gate == ClockGate(cell="ICG_1", enable="E", clock="CK", out="GCK")
    file.write_text(with_clock_gates(9.0, 7.0).replace('"latch_posedge"', '"latch_negedge"'))
    assert read_liberty(file).clock_gate is None
    file.write_text(with_clock_gates(9.0).replace("clock_gate_out_pin : true;", ""))
    assert read_liberty(file).clock_gate is None
