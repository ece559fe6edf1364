"""The table of SRAM macros, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zeroskip.fpga.ppa.sram import Macro, read_table, require_sizes

GOOD = {"depth": 256, "width": 64, "area": 40_000, "access_ns": 1.5}


def table(tmp_path: Path, content: Any) -> Path:
    file = tmp_path / "srams.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_macros_by_size(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, [GOOD, {**GOOD, "depth": 64}]))
    assert found == {
        (256, 64): Macro(depth=256, width=64, area=40_000, access_ns=1.5),
        (64, 64): Macro(depth=64, width=64, area=40_000, access_ns=1.5),
    }


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("depth,width", r"must be a JSON table of SRAM macros: Expecting value"),
        ("\udc80".encode(errors="surrogateescape").decode("latin-1"), r"must be a JSON table of SRAM macros: "),
        (GOOD, r"must be a JSON list of objects, one for each SRAM macro$"),
        ([GOOD, 3], r"entry 1 must have the fields depth, width, area, access_ns, not 3$"),
        ([{"depth": 3}], r"entry 0 must have the fields depth, width, area, access_ns, not \{'depth': 3\}$"),
        ([{**GOOD, "note": ""}], r"entry 0 must have the fields depth, width, area, access_ns, not "),
        ([{**GOOD, "depth": 0}], r"entry 0: depth must be a whole number from 1, not 0$"),
        ([{**GOOD, "width": 64.0}], r"entry 0: width must be a whole number from 1, not 64\.0$"),
        ([{**GOOD, "depth": True}], r"entry 0: depth must be a whole number from 1, not True$"),
        ([{**GOOD, "area": "40"}], r"entry 0: area must be a number from 0, not '40'$"),
        ([{**GOOD, "area": -1}], r"entry 0: area must be a number from 0, not -1$"),
        ([{**GOOD, "access_ns": float("nan")}], r"entry 0: access_ns must be a number from 0, not nan$"),
        ([GOOD, GOOD], r"256 words of 64 bits must stand there once, not twice$"),
    ],
)
def test_what_is_no_table(content: Any, error: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=error):
        read_table(table(tmp_path, content))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"must be a JSON table of SRAM macros, and there is no such file$"):
        read_table(tmp_path / "none.json")


def test_all_missing_sizes_are_named(tmp_path: Path) -> None:
    macros = read_table(table(tmp_path, [GOOD]))
    require_sizes(tmp_path, macros, [(256, 64)])
    with pytest.raises(
        ValueError, match=rf"^{tmp_path} must have .* and lacks 64 words of 32 bits, 1024 words of 12 bits$"
    ):
        require_sizes(tmp_path, macros, [(1024, 12), (256, 64), (64, 32)])
