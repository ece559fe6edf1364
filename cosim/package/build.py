"""All files of a package of Verilog that an engineer takes away."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape

from zeroskip.cosim.package import texts
from zeroskip.cosim.package.data_sheet import data_sheet
from zeroskip.cosim.package.description import Description, Vectors, port_meanings
from zeroskip.cosim.package.interfaces import bus_interfaces
from zeroskip.cosim.package.ipxact import Component, component_xml
from zeroskip.cosim.package.registers import c_header, python_file
from zeroskip.cosim.package.sv_package import sv_package
from zeroskip.cosim.package.vivado import SCRIPT, package_script, xdc
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.bus.systemrdl import systemrdl
from zeroskip.rtl.emit import SRAM
from zeroskip.rtl.verilog.emit import SramInstance, Verilog, emit

MANIFEST = "manifest.json"
MADE_BY = "zeroskip rtl emit"
LICENSE = "Apache-2.0"


@dataclass(frozen=True, kw_only=True)
class Package:
    """The `files` of a package by their paths in its folder, and its `manifest`, which is one of them."""

    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 over all files but the manifest."""
        return str(self.manifest["digest"])


def make_package(description: Description, vectors: Vectors) -> Package:
    """The package of a core with the test vectors, and with the contents of memories where the vectors have some."""
    version = importlib.metadata.version("zeroskip")
    contents = {"_".join(path): f"contents/{'_'.join(path)}.hex" for path in vectors.contents}
    verilog = emit(description.component, prefix=description.prefix, contents=contents)
    top = verilog.top
    rtl = [*(f"rtl/{name}.v" for name in verilog.modules), f"rtl/{SRAM}.v"]
    bench = ["tb/testbench.v", f"tb/{description.player.name}"]
    folder = PACKAGE / "cosim/package"
    files: dict[str, str | bytes] = {
        **{f"rtl/{name}.v": _module(description, verilog, name, version) for name in verilog.modules},
        f"rtl/{SRAM}.v": (PACKAGE / "rtl/verilog" / f"{SRAM}.v").read_text(),
        f"rtl/{top}_pkg.sv": _head(f"{top}_pkg", "", description, version) + sv_package(description, f"{top}_pkg"),
        "tb/testbench.v": texts.player_macro(description) + (folder / "testbench.v").read_text(),
        bench[1]: texts.player_text(description, top),
        "tb/main.cpp": (folder / "main.cpp").read_text(),
        "tb/common_player.v": (PACKAGE / "cosim/common_player.v").read_text(),
        "vectors/program.bin": vectors.program,
        "vectors/expected.txt": vectors.expected,
        "Makefile": ((folder / "Makefile.template").read_text() + description.targets)
        .replace("@TOP@", top)
        .replace("@PLAYER@", description.player.name),
        f"{top}.f": texts.file_list(rtl),
        f"{top}.core": texts.fusesoc_core(
            description, top, version, rtl=rtl, bench=bench, contents=sorted(contents.values())
        ),
        "lint/verilator.vlt": texts.verilator_waivers(top),
        "lint/verible.rules": texts.verible_rules(),
        f"constraints/{top}.sdc": texts.constraints(top),
        f"constraints/{top}.xdc": xdc(top, texts.CLOCK_NS),
        **_register_files(description, top),
        **description.files,
        **vectors.files,
        # With an address, a file may hold fewer words than the memory.
        **{f"contents/{'_'.join(path)}.hex": f"@0\n{words}" for path, words in vectors.contents.items()},
    }
    component = _component(description, verilog, version, files)
    files["component.xml"] = component_xml(component)
    files[SCRIPT] = package_script(component)
    manifest = _manifest(description, verilog, vectors, version)
    modules = {name: verilog.summaries[name] for name in sorted(verilog.modules)}
    modules[SRAM] = "A memory with one write port and one read port."
    files["datasheet.md"] = data_sheet(description, manifest, modules)
    encoded = {name: text.encode() if isinstance(text, str) else text for name, text in sorted(files.items())}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in encoded.items()}
    digest = hashlib.sha256("".join(f"{name} {value}\n" for name, value in sums.items()).encode()).hexdigest()
    whole = {**manifest, "digest": digest, "files": sums}
    encoded[MANIFEST] = (json.dumps(whole, indent=2) + "\n").encode()
    return Package(files=encoded, manifest=whole)


_SETS = {
    ("rtl", "v"): ("rtl", ("verilogSource",)),
    ("contents", "hex"): ("contents", ("hex",)),
    ("constraints", "xdc"): ("constraints", ("xdc", "USED_IN_out_of_context")),
    ("registers", "h"): ("software", ("cSource",)),
    ("driver", "h"): ("software", ("cSource",)),
    ("driver", "c"): ("software", ("cSource",)),
}
"""The set of a file in component.xml, and its types, by its folder and its suffix."""


def _component(description: Description, verilog: Verilog, version: str, files: Mapping[str, str | bytes]) -> Component:
    """The core for integrators: what is needed to build it and to drive it."""
    sets: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for path in sorted(files):
        kind = (path.partition("/")[0], path.rpartition(".")[2])
        if kind in _SETS:
            name, types = _SETS[kind]
            sets.setdefault(name, []).append((path, types))
    return Component(
        vendor="zeroskip",
        library=description.core,
        name=verilog.top,
        version=version,
        title=f"zeroskip {description.title}",
        ports=verilog.ports,
        interfaces=bus_interfaces(description.component),
        registers=description.registers,
        files=sets,
    )


def _register_files(description: Description, top: str) -> dict[str, str]:
    """The register map of a core on a bus."""
    described = description.registers
    if described is None:
        return {}
    return {
        f"registers/{top}.rdl": systemrdl(described),
        f"registers/{top}.h": c_header(described),
        f"registers/{top}.py": python_file(described),
    }


def _head(name: str, summary: str, description: Description, version: str) -> str:
    """The comment at the begin of a Verilog file."""
    fields = dataclasses.asdict(description.geometry)
    sizes = [f"{field}={value}" for field, value in fields.items()]
    lines = [f"{name}{': ' if summary else ''}{summary}", f"zeroskip {version}, {description.title}:"]
    line = " "
    for size in sizes:
        if len(line) + len(size) > 110:
            lines.append(line)
            line = " "
        line += f" {size}"
    lines += [line, f"SPDX-License-Identifier: {LICENSE}"]
    return "\n".join(f"// {text}" for text in lines) + "\n"


def _module(description: Description, verilog: Verilog, name: str, version: str) -> str:
    head = _head(name, verilog.summaries[name], description, version)
    return f"{head}`default_nettype none\n\n{verilog.modules[name]}\n`default_nettype wire\n"


def _manifest(description: Description, verilog: Verilog, vectors: Vectors, version: str) -> dict[str, Any]:
    meanings = port_meanings(description.component)
    sizes = Counter((sram.depth, sram.width) for sram in verilog.srams)
    return {
        "made_by": MADE_BY,
        "version": version,
        "license": LICENSE,
        "core": description.core,
        "title": description.title,
        "top": verilog.top,
        "geometry": dataclasses.asdict(description.geometry),
        "ports": [
            {"name": name, "direction": direction, "width": width, "meaning": meanings[name]}
            for name, direction, width in verilog.ports
        ],
        "words": {name: _fields(layout) for name, layout in description.words.items()},
        "enums": {name: {one.name: one.value for one in enum} for name, enum in description.enums.items()},
        "latency": dict(description.latency),
        "registers": _registers(description, verilog.top),
        "memories": [_memory(sram, vectors) for sram in verilog.srams],
        "memory_sizes": [
            {"depth": depth, "width": width, "instances": count, "bits": depth * width * count}
            for (depth, width), count in sorted(sizes.items())
        ],
        "vectors": {"what": vectors.what, "program": "vectors/program.bin", "expected": "vectors/expected.txt"},
    }


def _registers(description: Description, top: str) -> dict[str, Any] | None:
    """The register map of a core on a bus: addresses in bytes."""
    described = description.registers
    if described is None:
        return None
    return {
        "systemrdl": f"registers/{top}.rdl",
        "address_bits": described.address_bits,
        "registers": {register.name: register.address for register in described.registers},
        "windows": {window.name: window.base for window in described.windows},
    }


def _memory(sram: SramInstance, vectors: Vectors) -> dict[str, Any]:
    contents = f"contents/{sram.name}.hex" if sram.path in vectors.contents else None
    return {"instance": ".".join(sram.path), "depth": sram.depth, "width": sram.width, "contents": contents}


def _fields(layout: Any) -> list[dict[str, Any]]:
    return [
        {"name": str(name), "width": Shape.cast(field.shape).width, "offset": field.offset} for name, field in layout
    ]
