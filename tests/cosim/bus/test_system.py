"""The EIE array beside a RISC-V processor: its firmware gets the golden model's outputs, and every error as a code."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_network
from support.packages import GEOMETRIES, make

from zeroskip.cosim.bus import system
from zeroskip.cosim.bus.network_image import network_image
from zeroskip.cosim.bus.rooms import on_bus
from zeroskip.cosim.package.build import Package, make_package
from zeroskip.cosim.package.folder import write_package
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.eie_map import eie_map

COMPILER = "riscv64-unknown-elf-gcc"
VERSION = "12.2.0"
"""The compiler that made the firmware's image: another one makes other bytes."""

OK, NO_CORE, OTHER_MAP, NO_NETWORK, OTHER_SIZES, RANGE, NOT_LOADED, BUSY, TIMEOUT = range(0, -9, -1)
"""The codes of zeroskip_eie.h."""


def compiler_version() -> str | None:
    if shutil.which(COMPILER) is None:
        return None
    return subprocess.run([COMPILER, "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()


def small_network() -> EieNetwork:
    return random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)


def package_of(network: EieNetwork) -> Package:
    room = on_bus("eie", "axi", None, system=True)
    return make_package(room.describe(network.geometry), room.network_vectors(network, contents=False))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_package(package_of(small_network()), tmp_path / "package")
    return tmp_path / "package"


def test_the_firmware_runs_the_network(folder: Path) -> None:
    """Outputs and cycles are as expected by polling and by interrupt; the processor sees more cycles than the core; and
    a changed weight in the ROM is noticed."""
    done = make(folder, "system")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = re.findall(r"run (\d+): (\d+) cycles by the cycle model, (\d+) in the core, (\d+) from", done.stdout)
    assert [int(number) for number, *_ in runs] == list(range(len(runs)))
    assert len(runs) == int((folder / "system/expected.txt").read_text().splitlines()[-1].split()[1])
    assert all(model == core and int(core) < int(processor) for _, model, core, processor in runs)

    network = small_network()
    image = network_image(eie_map(network.geometry, 32), network)
    rom = (folder / "system/rom.hex").read_text().splitlines()
    # Behind the address, the two counts of the ROM, and the head of the network: a word of its last block.
    changed = 3 + len(image) - 2
    rom[changed] = f"{int(rom[changed], 16) ^ 0xF0F0F0F0:08x}"
    (folder / "system/rom.hex").write_text("\n".join([*rom, ""]))
    arguments = ["firmware=system/firmware.hex", "rom=system/rom.hex", "expected=system/expected.txt"]
    again = subprocess.run(
        ["build/system/Vtestbench", *(f"+{one}" for one in arguments), "+record=build/again.txt"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode != 0
    assert "FAIL: line" in again.stdout + again.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog")
def test_in_icarus(folder: Path) -> None:
    done = make(folder, "system-icarus")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout


@pytest.mark.skipif(compiler_version() != VERSION, reason=f"optional: {COMPILER} {VERSION}")
@pytest.mark.parametrize("pes", [2, 4])
def test_the_image_is_what_the_compiler_makes(pes: int, tmp_path: Path) -> None:
    """The same bytes for cores of any size: the firmware reads the sizes from the core."""
    room = on_bus("eie", "axi", None, system=True)
    geometry = EieGeometry(pes=pes, entry_words=256, pointers=64)
    write_package(make_package(room.describe(geometry), room.sample_vectors(geometry)), tmp_path / "package")
    done = make(tmp_path / "package", "firmware")
    assert done.returncode == 0, done.stdout + done.stderr
    built = (tmp_path / "package/build/firmware.hex").read_text()
    assert built == (tmp_path / "package/system/firmware.hex").read_text()


@pytest.mark.parametrize("bus", ["axi", "apb", "wishbone", "axi-master"])
def test_the_driver_compiles_without_a_warning(bus: str, tmp_path: Path) -> None:
    room = on_bus("eie", bus, None)
    write_package(
        make_package(room.describe(GEOMETRIES["eie"]), room.sample_vectors(GEOMETRIES["eie"])), tmp_path / "p"
    )
    flags = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only")
    subprocess.run(
        ["gcc", *flags, "-I", tmp_path / "p/registers", tmp_path / "p/driver/zeroskip_eie.c"],
        check=True,
    )


class Core(ctypes.Structure):
    """struct zeroskip."""

    _fields_ = (
        ("base", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("layers", "values", "lanes", "inputs_at", "results_at", "events")),
    )


def test_what_the_driver_refuses_itself(folder: Path) -> None:
    """On registers that are plain memory: another core, another map, another network, wrong counts, a run that never
    ends. What the core refuses is in the run of the firmware."""
    driver = folder / "driver.so"
    source = folder / "driver/zeroskip_eie.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-I", folder / "registers", source, "-o", driver], check=True)
    calls = ctypes.CDLL(str(driver))
    network = small_network()
    described = eie_map(network.geometry, 32)
    memory = np.zeros((1 << described.address_bits) // 4, np.uint32)
    place = {register.name: register.address // 4 for register in described.registers}
    image = np.fromfile(folder / "driver/network.bin", "<u4").astype(np.uint32)
    row = np.ones(1, np.int16)
    core = Core()

    def opened() -> int:
        return calls.zeroskip_open(ctypes.byref(core), ctypes.c_void_p(memory.ctypes.data))

    def loaded(words: np.ndarray, count: int | None = None) -> int:
        pointer = np.ascontiguousarray(words).ctypes.data_as(ctypes.c_void_p)
        return calls.zeroskip_load(ctypes.byref(core), pointer, len(words) if count is None else count)

    def started(first: int, count: int) -> int:
        return calls.zeroskip_start(ctypes.byref(core), first, row.ctypes.data_as(ctypes.c_void_p), count)

    assert opened() == NO_CORE
    for register in described.registers:
        memory[place[register.name]] = register.reset
    memory[place["ID"]] += 1
    assert opened() == NO_CORE
    memory[place["ID"]] -= 1
    memory[place["VERSION"]] += 1
    assert opened() == OTHER_MAP
    memory[place["VERSION"]] -= 1
    assert opened() == OK
    assert (core.layers, core.values) == (network.geometry.layers, network.geometry.activations)
    assert started(0, 1) == NOT_LOADED

    before = memory.copy()
    assert loaded(image, 3) == loaded(image[:-1]) == loaded(np.append(image, np.uint32(0))) == NO_NETWORK
    for word, code in ((0, NO_NETWORK), (1, NO_NETWORK), (2, NO_NETWORK), (11, NO_NETWORK), (13, NO_NETWORK)):
        wrong = image.copy()
        wrong[word] += 1
        assert loaded(wrong) == code, word
    for word in range(3, 9):
        wrong = image.copy()
        wrong[word] += 1
        assert loaded(wrong) == OTHER_SIZES, word
    assert np.array_equal(memory, before)

    core.inputs_at = described.window("INPUTS_OF_RUN").base
    core.results_at = described.window("RESULTS").base
    for first, count in ((network.geometry.layers, 1), (0, 0), (0, network.geometry.activations + 1)):
        assert started(first, count) == RANGE
    memory[place["STATUS"]] = 1
    assert opened() == BUSY
    assert calls.zeroskip_wait(ctypes.byref(core), 3) == TIMEOUT


def test_without_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=re.escape("install it with: pip install 'zeroskip[riscv]'")):
        on_bus("eie", "axi", None, system=True)
