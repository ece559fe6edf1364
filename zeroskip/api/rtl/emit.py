"""`zeroskip rtl emit`: the RTL of a core as Verilog to take away. Imports nothing heavy."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import typed
from zeroskip.api.simulate import CompiledNetwork, load_compiled
from zeroskip.model.cores import CORES, UNITS
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.temporary import reserved

if TYPE_CHECKING:
    from zeroskip.cosim.package.build import Package

KNOWN = {**CORES, **UNITS}

BUSES = ("axi", "apb", "wishbone", "axi-master")
"""The buses on which a core can be: its registers on AXI4-Lite, APB4 or Wishbone B4, images or triples on AXI4-Stream;
or, for the EIE array alone, registers on AXI4-Lite, and networks, images and results in a memory on AXI4."""

SYSTEMS = ("riscv",)
"""The systems in which the EIE array can stand: beside a RISC-V processor, PicoRV32, on AXI4-Lite."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EmittedRtl:
    """A package of Verilog in `folder`."""

    folder: Path
    package: Package
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What `zeroskip rtl emit --json` prints."""
        manifest = self.package.manifest
        return {
            "output": str(self.folder),
            "core": manifest["core"],
            "top": manifest["top"],
            "geometry": manifest["geometry"],
            "memory_sizes": manifest["memory_sizes"],
            "vectors": manifest["vectors"]["what"],
            "files": sorted(self.package.files),
            "digest": self.package.digest,
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        manifest = self.package.manifest
        modules = sum(name.endswith(".v") and name.startswith("rtl/") for name in self.package.files)
        memories = ", ".join(
            f"{size['instances']} of {size['depth']:,} x {size['width']}" for size in manifest["memory_sizes"]
        )
        filled = sum(name.startswith("contents/") for name in self.package.files)
        return [
            ("top module", manifest["top"]),
            ("modules", f"{modules:,}"),
            ("memories, words x bits", memories),
            *([("memories with contents", f"{filled:,}")] if filled else []),
            ("test bench", manifest["vectors"]["what"]),
            ("files", f"{len(self.package.files):,}, listed in {self.folder / 'manifest.json'}"),
            ("digest", self.package.digest),
            ("simulate and check", f"make -C {self.folder} verilator"),
            *(
                [("simulate beside a processor", f"make -C {self.folder} system")]
                if "system/system.v" in self.package.files
                else []
            ),
        ]


@typed
def emit_rtl(
    core: str,
    output: Path | str,
    *,
    geometry: Any = None,
    network: CompiledNetwork | None = None,
    with_contents: bool = False,
    bus: str | None = None,
    stream_bits: int | None = None,
    system: str | None = None,
    progress: Progress = silent,
) -> EmittedRtl:
    """Write the RTL of a core to the folder `output`, as Verilog-2005 that needs no Python: modules, test bench,
    vectors, data sheet, manifest.

    The core has the `geometry` (by default, that of its class), or that of a compiled `network`, which is a file's
    path, a Compiled, or its network. The test bench runs made-up operands, or the network. `with_contents` puts the
    network's sparse matrices into the memories, as files for $readmemh.

    With a `bus`, one of BUSES, the core stands behind registers. The EIE array also has streams of images and results,
    of `stream_bits` bits, by default as many as a load of it has, or, with the bus "axi-master", is on AXI4 the manager
    of a memory from which it takes lists of descriptors; the mapping unit sends its triples as a stream. A `system`,
    one of SYSTEMS, adds a processor beside the array, whose firmware loads the network and runs it; the bus is AXI
    then.

    Raises ValueError for an unknown core, bus or system, a bus or a system for another core, a system on another bus or
    without its processor (the extra `riscv`), streams of a wrong width, a network of another
    core, a geometry and a network at once, and contents without a network or for a core whose memories hold no network;
    TypeError for the geometry of another core; OSError where `output` holds anything but an earlier package that nobody
    changed, or cannot be written. Then nothing is written.
    """
    start = time.monotonic()
    folder = Path(output)
    if core not in KNOWN:
        raise ValueError(f"core must be one of {', '.join(KNOWN)}, not {core!r}")
    if network is not None and geometry is not None:
        raise ValueError("geometry and network must not both be given: the network has a geometry")
    if with_contents and network is None:
        raise ValueError("with_contents needs a network: without one, the memories have no contents")
    if bus is not None and bus not in BUSES:
        raise ValueError(f"bus must be one of {', '.join(BUSES)}, not {bus!r}")
    if bus == "axi-master":
        if core != "eie":
            raise ValueError(f"bus must not be axi-master for the {KNOWN[core].title}: it is for the EIE array")
        if stream_bits is not None:
            raise ValueError("stream_bits must be left out with bus axi-master, whose memory has words of 32 bits")
    if system is not None:
        if system not in SYSTEMS:
            raise ValueError(f"system must be one of {', '.join(SYSTEMS)}, not {system!r}")
        if core != "eie":
            raise ValueError(f"system must be left out for the {KNOWN[core].title}: it is for the EIE array")
        if bus not in (None, "axi"):
            raise ValueError(f"bus must be axi with a system, whose processor is on AXI4-Lite, not {bus!r}")
        bus = "axi"
    if stream_bits is not None and (bus is None or core != "eie"):
        raise ValueError(
            "stream_bits must be left out except for the EIE array on a bus: others have no streams of a chosen width"
        )
    progress(Step(task="loading the core"))
    from zeroskip.cosim.package.build import make_package
    from zeroskip.cosim.package.folder import require_free, write_package

    require_free(folder)
    room: Any = importlib.import_module(f"zeroskip.cosim.{core}.package")
    if bus is not None:
        from zeroskip.cosim.bus.rooms import on_bus

        room = on_bus(core, bus, stream_bits, system=system is not None)
    with reserved(folder):
        if network is None:
            geometry = _geometry_of(core)() if geometry is None else geometry
            if not isinstance(geometry, _geometry_of(core)):
                raise TypeError(f"geometry must be {_geometry_of(core).__name__}, not {type(geometry).__name__}")
            progress(Step(task="making test vectors"))
            vectors = room.sample_vectors(geometry)
        else:
            _, compiled = load_compiled(network)
            if compiled.core != core:
                raise ValueError(f"network must be one for the {KNOWN[core].title}, not for {compiled.core}")
            geometry = compiled.geometry
            progress(Step(task="making test vectors"))
            vectors = room.network_vectors(compiled, contents=with_contents)
        progress(Step(task="writing Verilog"))
        package = make_package(room.describe(geometry), vectors)
        write_package(package, folder)
    return EmittedRtl(folder=folder, package=package, seconds=time.monotonic() - start)


def _geometry_of(core: str) -> Any:
    """The class of a core's geometry."""
    module = importlib.import_module(f"zeroskip.model.{core}.geometry")
    return getattr(module, {"eie": "EieGeometry", "mma": "TileGeometry", "mapping": "MapperGeometry"}[core])
