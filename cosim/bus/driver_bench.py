"""cocotb bench of the drivers of the EIE array in C and in Python: both do the same with the core, access by access.

+package is a package of the array on AXI, or on AXI with lists in memory (+lists), +library its driver in C as
zeroskip.cosim.bus.c_driver builds it; +network and +inputs as for eie_bench.py. All channels pause at random.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cocotb
import numpy as np
import pytest
from cocotb.task import bridge, resume
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiSlave
from cocotbext.axi.address_space import AddressSpace, MemoryRegion
from numpy.typing import NDArray

from zeroskip.cosim.bus.c_driver import CDriver, CList
from zeroskip.cosim.bus.hosts import Refused
from zeroskip.cosim.bus.peers import Peers
from zeroskip.cosim.end_together import end_together
from zeroskip.model.eie import bundle, cycles, golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.rtl.bus.eie_map import eie_map

end_together()

MEMORY, SIZE = 0x8000_0000, 1 << 18
"""The memory of lists, for the core."""

LISTS, NETWORK, IMAGES, RESULTS = 0, 0x10000, 0x30000, 0x38000
"""Where in it the parts are."""

NOTHING = 0xFFC
"""An address of the core at which nothing is."""

Access = tuple[str, int] | tuple[str, int, int]
"""A read of an address, or a write of a value to one."""


class Board(Peers):
    """The core, its network and what is expected of it."""

    def __init__(self, dut: Any, *, lists: bool) -> None:
        self.network: EieNetwork = bundle.load(Path(cocotb.plusargs["network"]))
        self.inputs: NDArray[np.int16] = np.load(cocotb.plusargs["inputs"])
        described = eie_map(self.network.geometry, 32, lists=lists)
        super().__init__(dut=dut, bus="axi", described=described)
        layers = golden.run(self.network, self.inputs)
        self.outputs = layers[-1].outputs
        predicted = cycles.run(self.network, [layer.inputs for layer in layers])
        self.cycles = [int(one.sum()) + cycles.START_TO_DONE for one in predicted]
        self.words = np.fromfile(Path(cocotb.plusargs["package"]) / "driver/network.bin", "<u4").astype(np.uint32)
        self.ram = MemoryRegion(SIZE)
        if lists:
            space = AddressSpace(1 << 32)
            space.register_region(self.ram, MEMORY)
            self.memory = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=space)
            for one in (self.memory.read_if, self.memory.write_if):
                one.log.setLevel("ERROR")


class Mmio:
    """What a driver has of the core, as pynq.MMIO; each access is noted. The rest is around the core: its streams, its
    interrupt and its memory. All of it is called from the thread of a driver."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.accesses: list[Access] = []
        self.buffer = np.zeros(SIZE // 4, np.uint32)

    def read(self, address: int) -> int:
        # How often a driver looks depends on the pauses: once is noted.
        if self.accesses[-1:] != [("read", address)]:
            self.accesses.append(("read", address))
        return resume(self._read)(address)

    def write(self, address: int, value: int) -> None:
        self.accesses.append(("write", address, value))
        resume(self._write)(address, value)

    def interrupt(self) -> None:
        """Waits for it."""
        resume(self._interrupt)()

    def exchange(self, image: NDArray[np.int16]) -> NDArray[np.int16]:
        """An image on the stream, and its result."""
        return resume(self._exchange)(image)

    def flush(self) -> None:
        """What the processor has written is in the memory."""
        self._board.ram[0:SIZE] = self.buffer.tobytes()

    def invalidate(self) -> None:
        """What the core has written is seen by the processor."""
        self.buffer[:] = np.frombuffer(bytes(self._board.ram[0:SIZE]), np.uint32)

    def values(self, place: int, count: int) -> NDArray[np.int16]:
        """So many values of the memory."""
        return self.buffer.view(np.int16)[place // 2 : place // 2 + count]

    async def _read(self, address: int) -> int:
        try:
            return int.from_bytes(await self._board.read(address), "little")
        except Refused:
            return 0

    async def _write(self, address: int, value: int) -> None:
        with contextlib.suppress(Refused):
            await self._board.write(address, int(value).to_bytes(4, "little"))

    async def _interrupt(self) -> None:
        await with_timeout(self._rises(), 400, "us")

    async def _rises(self) -> None:
        while self._board.dut.irq.value != 1:
            await RisingEdge(self._board.dut.clk)

    async def _exchange(self, image: NDArray[np.int16]) -> NDArray[np.int16]:
        self._board.send(image.astype("<i2").tobytes())
        return np.frombuffer(await with_timeout(self._board.receive(), 400, "us"), "<i2").astype(np.int16)


@dataclass(frozen=True)
class Driver:
    """How a core is opened, and how a list is made: of a core, the room for it, and its address."""

    open: Callable[[Mmio], Any]
    descriptors: Callable[[Any, NDArray[np.uint32], int], Any]


async def with_both(dut: Any, use: Callable[[Driver, Mmio, Board], list[Any]], *, lists: bool) -> None:
    """Uses the core by the driver in C and, after a reset, by that in Python: what they say and do is the same."""
    library, python = Path(cocotb.plusargs["library"]), python_driver()
    drivers = (
        Driver(lambda mmio: CDriver(library, python, mmio), CList),
        Driver(python.Zeroskip, lambda core, memory, address: python.DescriptorList(memory, address)),
    )
    board = Board(dut, lists=lists)
    await board.begin(pausing=True)
    found = []
    for driver in drivers:
        await board.reset()
        mmio = Mmio(board)
        found.append((await bridge(use)(driver, mmio, board), mmio.accesses))
    (said_in_c, by_c), (said_in_python, by_python) = found
    assert said_in_c == said_in_python
    for number, (one, other) in enumerate(zip(by_c, by_python, strict=True)):
        assert one == other, f"access {number}: {one} in C, {other} in Python"


def python_driver() -> ModuleType:
    """The driver in Python of the package, with the register map beside it."""
    package = Path(cocotb.plusargs["package"])
    for folder in ("driver", "registers"):
        sys.path.insert(0, str(package / folder))
    return import_module("zeroskip_eie")


def error_of(call: Callable[..., Any], *arguments: Any) -> str:
    """The name of the error that a call raises."""
    with pytest.raises(Exception, match=r"^[A-Z_]+: ") as raised:
        call(*arguments)
    return str(raised.value).partition(":")[0]


@cocotb.test(skip="lists" in cocotb.plusargs)
async def runs_interrupts_streams_and_errors(dut: Any) -> None:
    """Results are those of the golden model, cycles those of the cycle model; every error has its name."""

    def use(driver: Driver, mmio: Mmio, board: Board) -> list[Any]:
        core = driver.open(mmio)
        count = board.outputs.shape[1]
        errors = [
            error_of(core.start, 0, board.inputs[0]),
            error_of(core.read, 1),
            error_of(core.stream, 0, 1, 1),
            error_of(core.load, board.words[:-1]),
        ]
        wrong = board.words.copy()
        wrong[3] += 1
        errors.append(error_of(core.load, wrong))
        core.load(board.words)
        core.interrupts(True)
        for index, (image, wanted) in enumerate(zip(board.inputs, board.outputs, strict=True)):
            if index % 2:
                found = core.run(0, image, count)
            else:
                core.start(0, image)
                assert not core.ended()
                mmio.interrupt()
                core.take()
                assert core.ended()
                found = core.read(count)
            assert np.array_equal(found, wanted), f"image {index} gave {found}"
            assert core.cycles() == board.cycles[index]
        assert np.array_equal(core.read(count - 1, 1), board.outputs[-1, 1:])
        core.interrupts(False)

        core.stream(0, board.network.inputs, count)
        assert np.array_equal(mmio.exchange(board.inputs[0]), board.outputs[0])
        errors.append(error_of(core.start, 0, board.inputs[0]))
        errors.append(error_of(core.stream_end))
        core.stream(0, board.network.inputs, count)
        core.stream_end()

        errors += [
            error_of(core.start, core.layers, board.inputs[0]),
            error_of(core.start, 0, board.inputs[0][:0]),
            error_of(core.read, core.values + 1),
            error_of(core.read, 1, core.values),
            error_of(core.stream, 0, 0, 1),
        ]
        mmio.read(NOTHING)
        core.take()
        errors.append(error_of(core.ended))
        core.start(0, board.inputs[1])
        errors.append(error_of(core.wait, 0))
        core.wait()
        mmio.write(0, 0)
        errors.append(error_of(core.read, 1))
        assert errors == [
            *("NOT_LOADED", "NOT_LOADED", "NOT_LOADED", "NO_NETWORK", "OTHER_SIZES"),
            *("LOCKED", "LOCKED", "RANGE", "RANGE", "RANGE", "RANGE", "RANGE", "UNMAPPED", "TIMEOUT", "ILLEGAL"),
        ]
        counted = core.count()
        assert counted["runs"] == len(board.inputs) + 2
        assert counted["busy_cycles"] == sum(board.cycles) + board.cycles[0] + board.cycles[1]
        return [core.layers, core.values, counted["runs"], counted["busy_cycles"], counted["dropped"]]

    await with_both(dut, use, lists=False)


@cocotb.test(skip="lists" not in cocotb.plusargs)
async def lists_that_the_drivers_make(dut: Any) -> None:
    """A network and images by one list, single descriptors, interrupts, a stop, and lists that are wrong."""

    def use(driver: Driver, mmio: Mmio, board: Board) -> list[Any]:
        core = driver.open(mmio)
        inputs, (count, outputs) = board.network.inputs, board.outputs.shape
        image_bytes, result_bytes = 4 * ((inputs + 1) // 2), 4 * ((outputs + 1) // 2)
        mmio.buffer[NETWORK // 4 : NETWORK // 4 + len(board.words)] = board.words
        for index, image in enumerate(board.inputs):
            mmio.values(IMAGES + index * image_bytes, inputs)[:] = image

        def empty(room: int = 64) -> Any:
            return driver.descriptors(core, mmio.buffer[LISTS // 4 : LISTS // 4 + 4 * room], MEMORY + LISTS)

        def check(indices: list[int]) -> None:
            mmio.invalidate()
            for place, index in enumerate(indices):
                found = mmio.values(RESULTS + place * result_bytes, outputs)
                assert np.array_equal(found, board.outputs[index]), f"image {index} gave {found}"

        def images(made: Any, number: int) -> None:
            made.images(core, 0, inputs, outputs, MEMORY + IMAGES, MEMORY + RESULTS, number)

        errors = [error_of(images, empty(), count), error_of(core.start_list, empty())]
        made = empty()
        made.network(core, board.words, MEMORY + NETWORK)
        images(made, count)
        mmio.flush()
        core.start_list(made)
        core.wait_list()
        check(list(range(count)))
        assert core.cycles() == board.cycles[-1]
        assert core.list_at() == MEMORY + LISTS + 16 * (made.count - 1)

        # By hand, an image twice, with the interrupt.
        made = empty()
        for place in range(2):
            made.image(MEMORY + IMAGES + image_bytes, inputs)
            made.result(MEMORY + RESULTS + place * result_bytes, outputs)
        core.interrupts(True)
        mmio.flush()
        core.start_list(made)
        while not core.list_ended():
            mmio.interrupt()
            core.take()
        core.interrupts(False)
        check([1, 1])

        ends = [made.count]
        entries = board.described.window("ENTRIES").base
        for add in (
            lambda one: one.result(MEMORY + RESULTS, outputs),
            lambda one: one.image(MEMORY + IMAGES, inputs + 1),
            lambda one: one.image(MEMORY + IMAGES + 2, inputs),
            lambda one: one.load(MEMORY + SIZE, 8, entries),
            lambda one: one.load(MEMORY + NETWORK, 4, 0),
        ):
            made = empty()
            made.image(MEMORY + IMAGES, inputs)
            made.result(MEMORY + RESULTS, outputs)
            add(made)
            mmio.flush()
            core.start_list(made)
            errors.append(error_of(core.wait_list))
            ends.append((core.list_at() - MEMORY - LISTS) // 16)
        # Long enough to be at work when it is stopped.
        made = empty()
        for _ in range(32):
            made.load(MEMORY + NETWORK + 4 * 14, 8, entries)
        mmio.flush()
        core.start_list(made)
        core.stop_list()
        errors.append(error_of(core.wait_list))
        assert core.list_at() < MEMORY + LISTS + 16 * 31

        errors += [
            error_of(images, empty(2 * count - 1), count),
            error_of(images, empty(), 0),
            error_of(empty(2).network, core, board.words, MEMORY + NETWORK),
            error_of(empty().network, core, board.words[:-1], MEMORY + NETWORK),
            error_of(empty().load, MEMORY, 4, 1 << 28),
            error_of(driver.descriptors, core, mmio.buffer, MEMORY + 4),
        ]
        full = empty(1)
        full.image(MEMORY, inputs)
        errors.append(error_of(full.image, MEMORY, inputs))
        assert errors == [
            *("NOT_LOADED", "RANGE"),
            *("LIST_ORDER", "LIST_LENGTH", "LIST_ADDRESS", "LIST_READ", "LIST_REFUSED", "LIST_STOPPED"),
            *("LIST_FULL", "RANGE", "LIST_FULL", "NO_NETWORK", "RANGE", "RANGE", "LIST_FULL"),
        ]
        # The core can be used as before.
        core.load(board.words)
        assert np.array_equal(core.run(0, board.inputs[0], outputs), board.outputs[0])
        return ends

    await with_both(dut, use, lists=True)
