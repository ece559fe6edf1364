"""The data sheet of a package, in Markdown, with a timing diagram for WaveDrom."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zeroskip.cosim.package.description import Description
from zeroskip.cosim.package.texts import WAIVERS


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
        "## What is not here",
        "A register map and bus wrappers: the core has the ports above. The names of all files, with their SHA-256, "
        "are in `manifest.json`.",
    ]
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
