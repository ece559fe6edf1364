"""The data sheet of a package, in Markdown, with a timing diagram for WaveDrom."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zeroskip.cosim.package.description import Description
from zeroskip.cosim.package.registers import REGISTER_HEADS, WINDOW_HEADS, register_rows, window_rows
from zeroskip.cosim.package.texts import WAIVERS
from zeroskip.rtl.bus.register_map import RegisterMap


def data_sheet(description: Description, manifest: Mapping[str, Any], modules: Mapping[str, str]) -> str:
    """The sheet of what `manifest` lists; `modules` are the modules and what each is, in a sentence."""
    top = manifest["top"]
    paragraphs = (inspect.getdoc(type(description.component)) or "").split("\n\n")
    parts = [
        f"# {top}: {description.title}",
        f"Made by zeroskip {manifest['version']}, `zeroskip rtl emit`. Licence: {manifest['license']}.",
        " ".join(paragraphs[0].split()),
        "## Geometry",
        table(("parameter", "value"), ((name, str(value)) for name, value in manifest["geometry"].items())),
        "## Ports",
        "One clock, `clk`. Everything is synchronous to its rising edge, and so is the reset. Ports whose names end in "
        "`__payload`, `__valid` and `__ready` are streams: a word is transferred in a cycle in which both `valid` and "
        "`ready` are high; `valid` stays high, and the word stays, until then.",
        table(
            ("port", "direction", "bits", "meaning"),
            (
                (f"`{port['name']}`", port["direction"], str(port["width"]), port["meaning"])
                for port in manifest["ports"]
            ),
        ),
    ]
    if manifest["words"]:
        parts += [
            "## Words",
            f"The fields of the words, the least significant first. `rtl/{top}_pkg.sv` has them as types.",
        ]
    for name, fields in manifest["words"].items():
        parts += [
            f"### {name}",
            table(("field", "bits", "from bit"), ((f["name"], str(f["width"]), str(f["offset"])) for f in fields)),
        ]
    for name, members in manifest["enums"].items():
        parts += [f"### {name}", table(("name", "value"), ((key, str(value)) for key, value in members.items()))]
    if description.registers is not None:
        parts += _registers(description.registers, top)
    parts += [
        "## Timing",
        table(("from", "cycles"), ((name, str(value)) for name, value in manifest["latency"].items())),
        "```wavedrom\n" + json.dumps(description.waves, indent=2) + "\n```",
        "## Memories",
        "Every memory is an instance of `zeroskip_sram` (`rtl/zeroskip_sram.v`), with one write port and one read "
        "port. The macro `ZEROSKIP_SRAM_BLACK_BOX` leaves the module empty, for macros of these sizes:",
        table(
            ("words", "bits", "instances", "bits in all"),
            (
                (f"{size['depth']:,}", str(size["width"]), str(size["instances"]), f"{size['bits']:,}")
                for size in manifest["memory_sizes"]
            ),
        ),
        "## Modules",
        table(("module", "what it is"), ((f"`{name}`", text) for name, text in modules.items())),
        "## Simulation and lint",
        "`make verilator` and `make icarus` play `vectors/program.bin` into the core and compare its record with "
        f"`vectors/expected.txt`: {manifest['vectors']['what']}. The exit code is not zero where a bit or a cycle "
        "differs. `make lint` runs Verilator with `-Wall`; `lint/verilator.vlt` waives:",
        table(("warning", "why it means no harm"), WAIVERS.items()),
        *_software(description),
        "## Files",
        "The names of all files, with their SHA-256, are in `manifest.json`."
        + ("" if description.registers else " There is no register map: the core has the ports above."),
    ]
    return "\n\n".join(parts) + "\n"


def _software(description: Description) -> list[str]:
    """The driver, and the processor that runs it."""
    parts: list[str] = []
    if "driver/zeroskip_eie.c" in description.files:
        parts += [
            "## Driver",
            "`driver/zeroskip_eie.h` and `driver/zeroskip_eie.c` are a driver in C99 that needs no library. It loads "
            "`driver/network.bin`, the network of the test vectors, runs images by polling or by the interrupt, and "
            "returns every error of the register map as a code.",
        ]
    if description.targets:
        parts += [
            "## System",
            "`make system` simulates the core beside a RISC-V processor (`system/system.v`) in Verilator, "
            "`make system-icarus` in Icarus Verilog. Its firmware is `system/firmware/`; `make firmware` compiles it.",
        ]
    return parts


def _registers(described: RegisterMap, top: str) -> list[str]:
    """The register map."""
    return [
        "## Registers",
        f"{described.meaning} `registers/{top}.rdl` has them in SystemRDL, `registers/{top}.h` and "
        f"`registers/{top}.py` as constants for C and Python. Bits that are not here read as zero.",
        table(REGISTER_HEADS, register_rows(described)),
        "## Windows",
        "The memories of the core among the addresses. A word is written from its first 32 bits to its last, with all "
        "bytes; then it is in the memory.",
        table(WINDOW_HEADS, window_rows(described)),
    ]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
