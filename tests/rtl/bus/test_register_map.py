"""Register maps: errors in a description, and what SystemRDL tools make of one."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_ipxact import IPXACTExporter
from support.rdl import compiled, facts

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.eie_map import eie_map
from zeroskip.rtl.bus.eie_shell import check_stream_bits
from zeroskip.rtl.bus.register_map import Field, Kind, Register, RegisterMap, Window

GEOMETRIES = {
    "paper": (EieGeometry(), 64),
    "odd sizes": (EieGeometry(pes=8, entry_words=100, pointers=77, activation_rows=24, layers=3, code_bits=5), 16),
    "1 PE": (EieGeometry(pes=1, entry_words=9, pointers=5, activation_rows=64, layers=1), 16),
}


def field(**changes: Any) -> Field:
    return Field(**{"name": "ONE", "low": 0, "width": 4, "kind": Kind.SETTING, "meaning": "A field.", **changes})


def register(**changes: Any) -> Register:
    return Register(**{"name": "REG", "address": 0, "meaning": "A register.", "fields": (field(),), **changes})


def window(**changes: Any) -> Window:
    return Window(**{"name": "MEM", "base": 0x100, "meaning": "A memory.", "entries": 5, "bits": 40, **changes})


def whole(**changes: Any) -> RegisterMap:
    parts = {"name": "core", "title": "", "meaning": "", "registers": (register(),), "windows": (window(),)}
    return RegisterMap(**{**parts, **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: field(name="one"), "a field must have a name of capital letters, digits and underscores, not 'one'"),
        (lambda: field(low=30), "field ONE must be in bits 0 to 31, not 30 to 33"),
        (lambda: field(kind=Kind.EVENT), "field ONE must be one bit, as every event, not 4"),
        (lambda: field(reset=16), "field ONE must have a reset value from 0 to 15, which fits 4 bits, not 16"),
        (lambda: field(least=3), "field ONE must have a reset value from 3 to 15, which fits 4 bits, not 0"),
        (lambda: field(most=16), "field ONE must have a reset value from 0 to 16, which fits 4 bits, not 0"),
        (lambda: register(address=6), "register REG must be at a multiple of 4, not 6"),
        (
            lambda: register(fields=(field(), field(name="TWO", low=3))),
            "register REG must have fields that do not overlap, unlike TWO",
        ),
        (lambda: window(base=0x120), "window MEM must be at a multiple of its size 64, not 288"),
        (
            lambda: whole(registers=(register(), register(name="OTHER"))),
            "OTHER and REG must not share addresses: the first ends at 0x4",
        ),
        (
            lambda: whole(registers=(register(address=0x80),), windows=(window(base=0x40),)),
            "windows must begin behind the registers, at 0x100 or later",
        ),
        (lambda: whole(windows=(window(name="REG"),)), "registers and windows must have different names"),
    ],
)
def test_what_is_wrong(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("pes", "bits", "message"),
    [
        (4, 24, "stream_bits must be one of 16, 32, 64, which divide the 64 bits of a load of 4 PEs, not 24"),
        (2, 64, "stream_bits must be one of 16, 32, which divide the 32 bits of a load of 2 PEs, not 64"),
        (16, 128, "stream_bits must be one of 16, 32, 64, which divide the 64 bits of a load of 16 PEs, not 128"),
    ],
)
def test_stream_bits(pes: int, bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_stream_bits(EieGeometry(pes=pes), bits)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_compiler_reads_the_map(name: str, tmp_path: Path) -> None:
    """Every register, field and window is in the SystemRDL, at its address."""
    described = eie_map(*GEOMETRIES[name])
    found = facts(described, tmp_path)
    assert [(one["name"], one["address"]) for one in found["registers"]] == [
        (one.name, one.address) for one in described.registers
    ]
    for one, other in zip(found["registers"], described.registers, strict=True):
        assert sorted((f["name"], f["low"], f["width"]) for f in one["fields"]) == sorted(
            (f.name, f.low, f.width) for f in other.fields
        )
    assert found["registers_size"] == described.registers_size
    places = {one["name"]: one for one in found["windows"]}
    for one in described.windows:
        first = places[one.name if one.instances == 1 else f"{one.name}_0"]
        assert (first["address"], first["entries"], first["width"]) == (one.base, one.entries, 8 * one.word_bytes)
        if one.instances > 1:
            last = places[f"{one.name}_{one.instances - 1}"]
            assert last["address"] == one.base + (one.instances - 1) * one.stride


def test_peakrdl_makes_header_and_ip_xact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a warning; the C compiler agrees with every address, and IP-XACT has a block for each memory."""
    described = eie_map(*GEOMETRIES["odd sizes"])
    top = compiled(described, tmp_path)
    CHeaderExporter().export(top, path=str(tmp_path / "map.h"), reuse_typedefs=True)
    IPXACTExporter().export(top, path=str(tmp_path / "map.xml"))
    assert "warning" not in capsys.readouterr().err
    places = [(f"REGISTERS.{one.name}", one.address) for one in described.registers]
    places += [(one.name, one.base) for one in described.windows if one.instances == 1]
    places += [(f"{one.name}_3", one.base + 3 * one.stride) for one in described.windows if one.instances > 1]
    checks = [f"_Static_assert(offsetof(zeroskip_eie_t, {path}) == {place}, {path!r});" for path, place in places]
    lines = ["#include <assert.h>", "#include <stddef.h>", '#include "map.h"', *checks]
    (tmp_path / "check.c").write_text("\n".join(lines).replace("'", '"') + "\n")
    subprocess.run(["gcc", "-fsyntax-only", tmp_path / "check.c"], check=True)
    blocks = [one for one in ElementTree.parse(tmp_path / "map.xml").iter() if one.tag.endswith("}addressBlock")]
    assert len(blocks) == 1 + sum(one.instances for one in described.windows)


def test_windows_do_not_overlap_as_they_grow() -> None:
    """The largest geometry of each field still has a map, of at most 32 address bits."""
    for changes in ({"pes": 256}, {"entry_words": 1 << 20}, {"activation_rows": 1 << 16}, {"layers": 256}):
        described = eie_map(dataclasses.replace(EieGeometry(), **changes), 64)
        assert described.address_bits <= 32
