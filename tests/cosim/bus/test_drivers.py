"""The drivers of the EIE array in C and in Python, on the RTL: the same results, errors and accesses."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support.networks import random_inputs, random_network
from support.packages import GEOMETRIES, sample_map, sample_package

from zeroskip.cosim.bus import c_driver
from zeroskip.cosim.bus.design import bus_design, list_design
from zeroskip.cosim.bus.rooms import on_bus
from zeroskip.cosim.package.build import make_package
from zeroskip.cosim.package.folder import write_package
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.eie import bundle
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.lists import ListError


@pytest.mark.parametrize("bus", ["axi", "axi-master"])
def test_both_drivers_do_the_same(bus: str, tmp_path: Path) -> None:
    """All tests of the bench (zeroskip/cosim/bus/driver_bench.py)."""
    rng = np.random.default_rng(5)
    # As in test_eie.py: the simulators are built once.
    network = random_network(rng, EieGeometry(pes=2), (31, 17, 5), 0.3)
    bundle.save(network, tmp_path / "network.zs")
    np.save(tmp_path / "inputs.npy", random_inputs(rng, 5, 31, (0.9, 0.3, 0.0, 1.0)))
    room = on_bus("eie", bus, None)
    package = make_package(room.describe(network.geometry), room.network_vectors(network, contents=False))
    write_package(package, tmp_path / "package")
    c_driver.build(tmp_path / "package", tmp_path / "driver.so")
    lists = bus == "axi-master"
    design = list_design(network.geometry) if lists else bus_design(bus, network.geometry, 32)
    design.build(Simulator.VERILATOR).run(
        bench="zeroskip.cosim.bus.driver_bench",
        folder=tmp_path,
        plusargs={
            "network": tmp_path / "network.zs",
            "inputs": tmp_path / "inputs.npy",
            "package": tmp_path / "package",
            "library": tmp_path / "driver.so",
            **({"lists": "1"} if lists else {}),
        },
        seed=5,
    )


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The driver in Python of a package, and the register map beside it, which are all that it needs."""
    for name, text in sample_package("eie-axi-master", GEOMETRIES["eie"]).files.items():
        if re.match(r"(driver|registers)/", name):
            (tmp_path / Path(name).name).write_bytes(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("zeroskip_eie")
    for name in ("zeroskip_eie", "eie_axi_master_array"):
        sys.modules.pop(name)


class Memory(dict[int, int]):
    """Registers that are plain memory."""

    def read(self, address: int) -> int:
        return self.get(address, 0)

    def write(self, address: int, value: int) -> None:
        self[address] = value


def test_errors_are_those_of_the_header(python: ModuleType, tmp_path: Path) -> None:
    """Names and codes; those of lists are the numbers that the core has for them."""
    header = (tmp_path / "zeroskip_eie.h").read_text()
    codes = {name: int(code) for name, code in re.findall(r"ZEROSKIP_(\w+) = (-\d+)", header)}
    assert {name: code for name, (code, _) in python.ERRORS.items()} == codes
    assert {f"LIST_{error.name}": -32 - error.value for error in ListError if error} == {
        name: code for name, code in codes.items() if code < -32
    }


def test_what_the_driver_in_python_refuses_itself(python: ModuleType) -> None:
    """On registers that are plain memory: another core, another map, a core at work, a run and a list without an
    end."""
    described = sample_map("eie-axi-master")
    place = {register.name: register.address for register in described.registers}

    def opened() -> object:
        return python.Zeroskip(memory)

    memory = Memory()
    with pytest.raises(python.ZeroskipError, match=r"^NO_CORE: at the address is no EIE array of zeroskip$"):
        opened()
    memory.update({register.address: register.reset for register in described.registers})
    memory[place["VERSION"]] += 1
    with pytest.raises(python.ZeroskipError, match=r"^OTHER_MAP: ") as raised:
        opened()
    assert (raised.value.name, raised.value.code) == ("OTHER_MAP", -2)
    memory[place["VERSION"]] -= 1
    core = python.Zeroskip(memory)
    memory[place["STATUS"]] = memory[place["LIST_STATUS"]] = 1
    with pytest.raises(python.ZeroskipError, match=r"^BUSY: "):
        opened()
    for wait in (core.wait, core.wait_list):
        with pytest.raises(python.ZeroskipError, match=r"^TIMEOUT: "):
            wait(3)
