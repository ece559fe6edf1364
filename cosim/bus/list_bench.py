"""cocotb bench of the EIE array that works on lists in memory; the bus of registers and the memory pause at random.

+network, +inputs and +map as for eie_bench.py. The memory is small: all addresses outside of it are answered by SLVERR.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiSlave
from cocotbext.axi.address_space import AddressSpace, MemoryRegion
from numpy.typing import NDArray

from zeroskip.cosim.bus.checks import check_map
from zeroskip.cosim.bus.hosts import pauses
from zeroskip.cosim.bus.lists import Descriptor, chained, image, load, overlapped, padded, result
from zeroskip.cosim.bus.peers import Peers
from zeroskip.cosim.bus.program import network_writes
from zeroskip.cosim.bus.rules import BOUNDARY, AxiMemoryRules
from zeroskip.cosim.end_together import end_together
from zeroskip.model.eie import bundle, cycles, golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.rtl.bus.eie_map import eie_map
from zeroskip.rtl.bus.lists import DESCRIPTOR_BYTES, ListError

end_together()

BASE, SIZE = 0x8000_0000, 1 << 20
"""The memory."""

END = BASE + SIZE

CHANNELS = {"m_axi_aw": ("addr", "len"), "m_axi_w": ("data", "strb", "last"), "m_axi_ar": ("addr", "len")}
"""What the core offers the memory, and what of it must stand still until it is taken."""


class ListBoard(Peers):
    """The array, a memory, its network and what is expected of it."""

    def __init__(self, dut: Any) -> None:
        self.network: EieNetwork = bundle.load(Path(cocotb.plusargs["network"]))
        self.inputs: NDArray[np.int16] = np.load(cocotb.plusargs["inputs"])
        super().__init__(dut=dut, bus="axi", described=eie_map(self.network.geometry, 32, lists=True))
        layers = golden.run(self.network, self.inputs)
        self.outputs = layers[-1].outputs
        predicted = cycles.run(self.network, [layer.inputs for layer in layers])
        self.cycles = [int(one.sum()) + cycles.START_TO_DONE for one in predicted]
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.ram = MemoryRegion(SIZE)

    async def begin(self, *, pausing: bool) -> None:
        space = AddressSpace(1 << 32)
        space.register_region(self.ram, BASE)
        self.memory = AxiSlave(AxiBus.from_prefix(self.dut, "m_axi"), self.dut.clk, self.dut.rst, target=space)
        read, write = self.memory.read_if, self.memory.write_if
        for one in (read, write):
            one.log.setLevel("ERROR")
        if pausing:
            channels = (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel)
            for number, channel in enumerate(channels):
                channel.set_pause_generator(pauses(cocotb.RANDOM_SEED + 20 + number))
        for name, payload in CHANNELS.items():
            cocotb.start_soon(self._stands_still(name, payload))
        cocotb.start_soon(self._keeps(AxiMemoryRules))
        await super().begin(pausing=pausing)
        self._free = BASE + DESCRIPTOR_BYTES

    def room(self, size: int, *, align: int = 4, crossing: bool = False) -> int:
        """An address of free memory; `crossing`, one whose room lies across a boundary of 4 KiB."""
        if self._free + size + 2 * BOUNDARY > END:
            self._free = BASE + DESCRIPTOR_BYTES
        first = -(-self._free // align) * align
        if crossing and size >= 8:
            boundary = -(-(first + size) // BOUNDARY) * BOUNDARY
            first = boundary - self.random.randrange(4, size, 4)
        self._free = first + size
        return first

    def store(self, data: bytes, **where: Any) -> int:
        """Puts data into free memory; returns where."""
        address = self.room(len(data), **where)
        self.ram[address - BASE : address - BASE + len(data)] = data
        return address

    def listed(self, descriptors: Sequence[Descriptor], *, end: int = 0) -> list[int]:
        """Puts a list into memory, its descriptors in any order. Returns their addresses."""
        places = [self.room(DESCRIPTOR_BYTES, align=DESCRIPTOR_BYTES) for _ in descriptors]
        self.random.shuffle(places)
        for place, data in chained(descriptors, places, end=end):
            self.ram[place - BASE : place - BASE + len(data)] = data
        return places

    def loads(self) -> list[Descriptor]:
        """Those that load the network, and the sizes of its images: FIRST, INPUTS and OUTPUTS follow each other."""
        writes = [*network_writes(self.described, self.network)]
        first = self.described.register("FIRST").address
        sizes = [0, self.network.inputs, self.outputs.shape[1]]
        writes.append((first, b"".join(size.to_bytes(4, "little") for size in sizes)))
        return [load(self.store(data, crossing=True), len(data), target) for target, data in writes]

    def image(self, index: int) -> Descriptor:
        return image(self.store(padded(self.inputs[index]), crossing=True), self.network.inputs)

    def result(self) -> Descriptor:
        """Room for a result, which holds something else."""
        size = len(padded(self.outputs[0]))
        address = self.room(size + 8, crossing=True) + 4
        self.ram[address - BASE - 4 : address - BASE + size + 4] = b"\xa5" * (size + 8)
        return result(address, self.outputs.shape[1])

    def check(self, descriptor: Descriptor, index: int) -> None:
        """The result is there, and nothing around it has changed."""
        at, size = descriptor.address - BASE, descriptor.length
        wanted = b"\xa5" * 4 + self.outputs[index].astype("<i2").tobytes() + b"\xa5" * 4
        assert bytes(self.ram[at - 4 : at + size + 4]) == wanted, f"image {index}"

    async def start(self, first: int) -> None:
        await self.put("LIST", address=first)
        await self.put("LIST_START", start=1)

    async def ended(self) -> ListError:
        """Waits for the interrupt."""
        await with_timeout(self._rises(), 400, "us")
        assert await self.get("LIST_STATUS", "RUNNING") == 0
        return ListError(await self.get("LIST_STATUS", "ERROR"))

    async def _rises(self) -> None:
        while self.dut.irq.value != 1:
            await RisingEdge(self.dut.clk)

    async def run_images(self, indices: Sequence[int]) -> None:
        """A list of images, and the check of their results."""
        images, results = [self.image(index) for index in indices], [self.result() for _ in indices]
        places = self.listed(overlapped(images, results))
        await self.start(places[0])
        assert await self.ended() is ListError.NONE
        assert await self.get("LIST_AT", "ADDRESS") == places[-1]
        for index, descriptor in zip(indices, results, strict=True):
            self.check(descriptor, index)
        assert await self.events() == {"DONE", "LIST"}

    async def ready(self, *, pausing: bool = True) -> None:
        """Begins, with the network loaded by a list."""
        await self.begin(pausing=pausing)
        await self.put("INTERRUPTS", list=1)
        await self.start(self.listed(self.loads())[0])
        assert await self.ended() is ListError.NONE
        assert await self.events() == {"LIST"}


@cocotb.test()
async def a_network_and_images_by_one_list(dut: Any) -> None:
    board = ListBoard(dut)
    await board.begin(pausing=True)
    await board.put("INTERRUPTS", list=1)
    every = range(len(board.inputs))
    images, results = [board.image(index) for index in every], [board.result() for _ in every]
    places = board.listed([*board.loads(), *overlapped(images, results)])
    await board.start(places[0])
    assert await board.ended() is ListError.NONE
    for index, descriptor in enumerate(results):
        board.check(descriptor, index)
    assert await board.get("CYCLES") == board.cycles[-1]
    assert await board.get("RUNS") == len(board.inputs)
    assert await board.get("BUSY_CYCLES") == sum(board.cycles)
    assert await board.events() == {"DONE", "LIST"}
    # One at a time, too: each result before the next image.
    for index in every:
        await board.run_images([index])


@cocotb.test()
async def registers_are_those_of_the_map(dut: Any) -> None:
    board = ListBoard(dut)
    await board.begin(pausing=True)
    await check_map(board, json.loads(Path(cocotb.plusargs["map"]).read_text()))


@cocotb.test()
async def lists_that_are_wrong(dut: Any) -> None:
    """Each ends with its error and the interrupt, at the descriptor that is wrong, and the next list is run."""
    board = ListBoard(dut)
    await board.ready()
    inputs, outputs = board.network.inputs, board.outputs.shape[1]
    word = board.store(bytes(64))
    # The last word of the first PE, which the network does not use: some of these lists change it.
    entries = board.described.window("ENTRIES")
    window = entries.base + (entries.entries - 1) * entries.word_bytes
    assert not any(at <= window < at + len(data) for at, data in network_writes(board.described, board.network))
    nowhere = END + 64
    beyond = 1 << board.described.address_bits
    one, back = board.image, board.result
    cases: list[tuple[ListError, list[Descriptor], set[str]]] = [
        (ListError.READ, [load(nowhere, 8, window)], set()),
        (ListError.READ, [load(END - 8, 400, window)], set()),
        (ListError.READ, [one(0), image(END - 8, inputs)], set()),
        (ListError.WRITE, [one(0), result(nowhere, outputs)], set()),
        (ListError.WRITE, [one(0), one(1), result(END - 4, outputs)], set()),
        (ListError.ADDRESS, [one(0), load(word + 2, 8, window)], set()),
        (ListError.ADDRESS, [load(word, 8, window + 1)], set()),
        (ListError.ADDRESS, [load(word, 8, beyond + window)], set()),
        (ListError.ADDRESS, [image(word + 1, inputs)], set()),
        (ListError.LENGTH, [load(word, 0, window)], set()),
        (ListError.LENGTH, [load(word, 6, window)], set()),
        (ListError.LENGTH, [one(0), image(word, inputs + 1)], set()),
        (ListError.LENGTH, [image(word, inputs - 1)], set()),
        (ListError.LENGTH, [one(0), result(word, outputs + 1)], set()),
        (ListError.LENGTH, [one(0), result(word, 0)], set()),
        (ListError.KIND, [one(0), Descriptor(kind=3, address=word, length=8)], set()),
        (ListError.KIND, [Descriptor(kind=15, address=word, length=8)], set()),
        (ListError.REFUSED, [load(word, 64, 0)], {"ILLEGAL"}),
        (ListError.REFUSED, [load(word, 4, 0xFFC)], {"UNMAPPED"}),
        (ListError.REFUSED, [one(0), load(word, 64, window)], {"LOCKED"}),
        (ListError.ORDER, [back()], set()),
        (ListError.ORDER, [one(0), back(), back()], set()),
        (ListError.ORDER, [one(index % len(board.inputs)) for index in range(30)], set()),
    ]
    board.random.shuffle(cases)
    for number, (error, descriptors, events) in enumerate(cases):
        places = board.listed(descriptors)
        await board.start(places[0])
        assert await board.ended() is error, f"{error}, {descriptors}"
        # The images of ORDER: where the room ends depends on the pauses.
        at = await board.get("LIST_AT", "ADDRESS")
        assert at == places[-1] if len(descriptors) < 10 else at in places, error
        assert await board.events() - {"DONE"} == {"LIST", "LIST_FAILED", *events}, error
        await board.run_images([number % len(board.inputs)])

    for first, error in ((BASE + 8, ListError.ADDRESS), (nowhere & -16, ListError.DESCRIPTOR)):
        await board.start(first)
        assert await board.ended() is error
        assert await board.get("LIST_AT", "ADDRESS") == first
        await board.events()
        await board.start(board.listed([one(0), back()], end=first)[0])
        assert await board.ended() is error
        assert await board.get("LIST_AT", "ADDRESS") == first
        await board.events()
        await board.run_images([0, 1])


@cocotb.test()
async def accesses_of_software_while_a_list_runs(dut: Any) -> None:
    """What starts, and the windows, are the list's; registers are read, and a list without an end is stopped."""
    board = ListBoard(dut)
    await board.ready()
    images, results = [board.image(0), board.image(1)], [board.result(), board.result()]
    places = board.listed(overlapped(images, results), end=0)
    # The last descriptor goes on with the first one.
    board.ram[places[-1] - BASE : places[-1] - BASE + 4] = places[0].to_bytes(4, "little")
    await board.start(places[0])
    for name in ("START", "FIRST", "INPUTS", "OUTPUTS", "LIST", "LIST_START"):
        before = await board.read(board.described.register(name).address)
        await board.refused(board.described.register(name).address, bytes([1, 0, 0, 0]), "LOCKED")
        assert await board.read(board.described.register(name).address) == before, name
    for name in ("CODEBOOKS", "LAYER_TABLE", "INPUTS_OF_RUN", "POINTERS", "ENTRIES"):
        await board.refused(board.described.window(name).base, bytes([255] * 4), "LOCKED")
    await board.refused(board.described.window("RESULTS").base, None, "LOCKED")
    assert await board.get("STATUS", "LOCKED") == 1
    while await board.get("RUNS") < 20:
        assert await board.get("LIST_STATUS", "RUNNING") == 1
        assert await board.get("LIST_AT", "ADDRESS") in places
    await board.put("LIST_STOP", stop=1)
    assert await board.ended() is ListError.STOPPED
    for index, descriptor in enumerate(results):
        board.check(descriptor, index)
    assert await board.events() == {"DONE", "LIST", "LIST_FAILED"}
    await board.run_images([2, 0])


@cocotb.test()
async def resets_in_the_middle(dut: Any) -> None:
    """At any moment of a list: afterwards everything is as at the start."""
    board = ListBoard(dut)
    await board.ready()
    for _ in range(8):
        every = range(len(board.inputs))
        images, results = [board.image(index) for index in every], [board.result() for _ in every]
        await board.start(board.listed([*board.loads(), *overlapped(images, results)])[0])
        await ClockCycles(dut.clk, board.random.randint(1, 6000))
        await board.reset()
        for name in ("LIST", "LIST_STATUS", "LIST_AT", "EVENTS", "STATUS", "RUNS"):
            assert await board.read(board.described.register(name).address) == bytes(4), name
        await board.put("INTERRUPTS", list=1)
        await board.start(board.listed(board.loads())[0])
        assert await board.ended() is ListError.NONE
        await board.events()
        await board.run_images([0, 1])
