"""cocotb bench of the EIE array on a bus (+bus), whose channels all pause at random.

The network and the inputs come from the files +network and +inputs; +stream_bits is the width of the streams, and +map
is what a SystemRDL compiler reads in the emitted map (tests/support/rdl.py), which the hardware must be.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotb.utils import get_sim_time
from numpy.typing import NDArray

from zeroskip.cosim.bus.checks import check_map, write_outside
from zeroskip.cosim.bus.peers import CLOCK_NS, Peers
from zeroskip.cosim.bus.program import input_writes, network_writes
from zeroskip.cosim.end_together import end_together
from zeroskip.model.eie import bundle, cycles, golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.rtl.bus.eie_map import EVENTS, eie_map

end_together()

ERRORS = set(EVENTS) - {"DONE"}


class Board(Peers):
    """The array, its network and what is expected of it."""

    def __init__(self, dut: Any) -> None:
        self.network: EieNetwork = bundle.load(Path(cocotb.plusargs["network"]))
        self.inputs: NDArray[np.int16] = np.load(cocotb.plusargs["inputs"])
        described = eie_map(self.network.geometry, int(cocotb.plusargs["stream_bits"]))
        super().__init__(dut=dut, bus=cocotb.plusargs["bus"], described=described)
        layers = golden.run(self.network, self.inputs)
        self.outputs = layers[-1].outputs
        predicted = cycles.run(self.network, [layer.inputs for layer in layers])
        self.cycles = [int(one.sum()) + cycles.START_TO_DONE for one in predicted]
        self.random = random.Random(cocotb.RANDOM_SEED)

    async def load(self) -> None:
        for address, data in network_writes(self.described, self.network):
            await self.write(address, data)
        await self.put("INPUTS", inputs=self.network.inputs)
        await self.put("OUTPUTS", outputs=self.outputs.shape[1])

    async def run_once(self, image: int) -> None:
        """An image by the windows, checked against both models."""
        address, data = input_writes(self.described, self.inputs[image])
        await self.write(address, data)
        await self.put("START", start=1)
        while await self.get("STATUS", "RUNNING"):
            pass
        assert await self.get("CYCLES") == self.cycles[image], f"image {image}"
        window = self.described.window("RESULTS")
        found = await self.read(window.base, 4 * self.outputs.shape[1])
        assert np.array_equal(np.frombuffer(found, "<i4"), self.outputs[image]), f"image {image}"

    def offer(self, image: int) -> None:
        self.send(self.inputs[image].astype("<i2").tobytes())

    async def take(self, image: int) -> None:
        found = np.frombuffer(await with_timeout(self.receive(), 1, "ms"), "<i2")
        assert np.array_equal(found, self.outputs[image]), f"image {image} gave {found}"


@cocotb.test()
async def images_by_the_windows_and_by_the_stream(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=True)
    await board.load()
    for image in range(2):
        await board.run_once(image)
    assert await board.events() == {"DONE"}

    await board.put("INTERRUPTS", done=1)
    assert dut.irq.value == 0
    await board.put("STREAM", enable=1)
    for image in range(len(board.inputs)):
        board.offer(image)
    for image in range(len(board.inputs)):
        await board.take(image)
    assert dut.irq.value == 1
    assert await board.events() == {"DONE"}
    await RisingEdge(dut.clk)
    assert dut.irq.value == 0
    await board.put("STREAM", enable=0)
    await board.run_once(0)

    counted = [*board.cycles, *board.cycles[:2], board.cycles[0]]
    assert await board.get("RUNS") == len(counted)
    assert await board.get("BUSY_CYCLES") == sum(counted)
    assert await board.get("DROPPED") == 0
    entries = weights_worked_on(board.network, board.inputs)
    assert await board.get("WEIGHTS") == sum(entries) + 2 * entries[0] + entries[1]


def weights_worked_on(network: EieNetwork, inputs: NDArray[np.int16]) -> list[int]:
    """The entries of each image's non-zero columns that are weights: what the PEs work on."""
    layers = golden.run(network, inputs)
    found = np.zeros(len(inputs), np.int64)
    for index, layer in enumerate(layers):
        base = network.pointer_bases[index]
        columns = network.layers[index].inputs
        weights = np.zeros(columns + network.layers[index].bias, np.int64)
        for pe in range(network.geometry.pes):
            codes = network.entries[pe].reshape(-1) >> network.geometry.index_bits
            pointers = network.pointers[pe]
            for column in range(len(weights)):
                weights[column] += np.count_nonzero(codes[pointers[base + column] : pointers[base + column + 1]])
        found += (layer.inputs != 0) @ weights[:columns]
        if network.layers[index].bias:
            found += weights[columns]
    return [int(one) for one in found]


@cocotb.test()
async def registers_are_those_of_the_map(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=True)
    await check_map(board, json.loads(Path(cocotb.plusargs["map"]).read_text()))


@cocotb.test()
async def what_the_counters_of_the_streams_count(dut: Any) -> None:
    """Cycles without an image, and cycles in which a result waits: as many as are seen at the ports."""
    board = Board(dut)
    await board.begin(pausing=False)
    await board.load()
    await board.put("STREAM", enable=1)

    async def starved() -> tuple[int, float]:
        counted = await board.get("STARVED_CYCLES")
        return counted, get_sim_time("ns") / CLOCK_NS

    (first, begin) = await starved()
    await ClockCycles(dut.clk, board.random.randint(50, 200))
    (second, end) = await starved()
    assert second - first == end - begin

    board.results.pause = True
    board.offer(0)
    while dut.m_axis_tvalid.value != 1:
        await RisingEdge(dut.clk)
    waits = 0
    for _ in range(board.random.randint(50, 200)):
        waits += dut.m_axis_tvalid.value == 1 and dut.m_axis_tready.value == 0
        await RisingEdge(dut.clk)
    board.results.pause = False
    while dut.m_axis_tready.value != 1:
        waits += dut.m_axis_tvalid.value == 1
        await RisingEdge(dut.clk)
    await board.take(0)
    assert await board.get("WAITING_CYCLES") == waits > 50
    third, _ = await starved()
    assert third - second < (get_sim_time("ns") / CLOCK_NS - end) - board.cycles[0]
    # A layer drains for as long as the PEs work on its last column, at least a few cycles.
    drained = await board.get("DRAIN_CYCLES")
    assert 2 * len(board.network.layers) <= drained < board.cycles[0]
    assert await board.get("BLOCKED_CYCLES") + drained < await board.get("BUSY_CYCLES") == board.cycles[0]


@cocotb.test()
async def narrow_and_unaligned_accesses(dut: Any) -> None:
    """Registers take single bytes; a word of a window is written in whole and in order, or not at all."""
    board = Board(dut)
    await board.begin(pausing=True)
    interrupts = board.described.register("INTERRUPTS").address
    await board.put("INTERRUPTS", done=1, keep=1)
    for offset, length in ((1, 1), (2, 2), (1, 3), (3, 1)):
        await board.write(interrupts + offset, bytes([0xFF] * length))
    assert await board.read(interrupts) == bytes([0x41, 0, 0, 0])
    await board.write(interrupts, bytes([0x12]))
    assert await board.read(interrupts + 0, 1) == bytes([0x12])
    # A byte of a register of two bytes, across registers, and the start with its byte left out.
    most = board.network.geometry.activations
    inputs = board.described.register("INPUTS").address
    await board.write(inputs, (most & 0xFF or 1).to_bytes(1, "little"))
    assert await board.get("INPUTS") == (most & 0xFF or 1)
    start = board.described.register("START").address
    await board.write(start + 1, bytes([1, 1, 1]))
    assert await board.get("RUNS") == 0
    assert await board.read(board.described.register("ID").address + 1, 3) == b"KSZ"

    await board.load()
    entries = board.described.window("ENTRIES")
    garbage = bytes([0xFF] * 4)
    for address, data in (
        (entries.base, garbage[:1]),
        (entries.base + 1, garbage[:3]),
        (entries.base + 4, garbage),
    ):
        await board.refused(address, data, "ILLEGAL")
    # The first half of a word and the second half of another; a word that begins again.
    await board.write(entries.base, garbage)
    await board.refused(entries.base + entries.word_bytes + 4, garbage, "ILLEGAL")
    await board.refused(entries.base + 4, garbage, "ILLEGAL")
    await board.write(entries.base, garbage)
    await board.write(entries.base, board.network.entries[0, 0].tobytes())
    await board.run_once(0)


@cocotb.test()
async def accesses_while_the_core_is_in_use(dut: Any) -> None:
    """They are refused and flagged, nothing is changed, and images go on."""
    board = Board(dut)
    await board.begin(pausing=True)
    await board.load()
    await board.put("STREAM", enable=1)
    results = board.described.window("RESULTS").base
    assert await board.get("STATUS", "LOCKED") == 1
    # Whole words, while the array would take them: nothing runs yet.
    for name in ("CODEBOOKS", "LAYER_TABLE", "INPUTS_OF_RUN", "POINTERS", "ENTRIES"):
        window = board.described.window(name)
        for address in range(window.base, window.base + 2 * window.word_bytes, 4):
            await board.refused(address, bytes([255] * 4), "LOCKED")
    for image in range(4):
        board.offer(image)
    for name in ("START", "FIRST", "INPUTS", "OUTPUTS"):
        before = await board.read(board.described.register(name).address)
        await board.refused(board.described.register(name).address, bytes([1, 0, 0, 0]), "LOCKED")
        assert await board.read(board.described.register(name).address) == before
    for name in ("CODEBOOKS", "LAYER_TABLE", "INPUTS_OF_RUN", "POINTERS", "ENTRIES"):
        await board.refused(board.described.window(name).base, bytes([255] * 4), "LOCKED")
    await board.refused(results, None, "LOCKED")
    for image in range(4):
        await board.take(image)
    await board.put("STREAM", enable=0)
    await board.run_once(1)

    # A run that was started by hand.
    address, data = input_writes(board.described, board.inputs[0])
    await board.write(address, data)
    await board.put("START", start=1)
    await board.refused(results, None, "LOCKED")
    while await board.get("STATUS", "RUNNING"):
        pass
    assert await board.get("CYCLES") == board.cycles[0]
    await board.run_once(2)


@cocotb.test()
async def writes_outside_of_the_map(dut: Any) -> None:
    """They are refused and flagged, and no memory is changed."""
    board = Board(dut)
    await board.begin(pausing=False)
    await board.load()
    await write_outside(board)
    await board.run_once(0)


@cocotb.test()
async def streams_that_are_wrong(dut: Any) -> None:
    """Images that are too short, too long or have gaps are dropped and flagged; those around them are run."""
    board = Board(dut)
    await board.begin(pausing=True)
    await board.load()
    await board.put("STREAM", enable=1)
    size = 2 * board.network.inputs
    beat = int(cocotb.plusargs["stream_bits"]) // 8
    most = 2 * board.network.geometry.activations
    noise = board.random.randbytes
    gap = [1] * size
    gap[board.random.randrange(size - 1)] = 0
    half = [1] * (size - 1) + [0]
    wrong: list[tuple[str, bytes, list[int] | None]] = [
        ("SHORT", noise(2), None),
        ("SHORT", noise(size - 2), None),
        ("SHORT", noise(beat), None),
        ("LONG", noise(size + 2), None),
        ("LONG", noise(size + beat), None),
        ("LONG", noise(most + 5 * beat), None),
        ("LONG", noise(3 * most), None),
        ("KEEP", noise(size), gap),
        ("KEEP", noise(size), half),
        ("KEEP", noise(beat), [0] * beat),
    ]
    board.random.shuffle(wrong)
    for number, (event, data, keep) in enumerate(wrong):
        image = number % len(board.inputs)
        board.offer(image)
        board.send(data, keep)
        board.offer((image + 1) % len(board.inputs))
        await board.take(image)
        await board.take((image + 1) % len(board.inputs))
        assert await board.events() == {"DONE", event}, f"{event}, {len(data)} bytes"
    assert await board.get("DROPPED") == len(wrong)
    assert await board.get("RUNS") == 2 * len(wrong)
    await board.put("STREAM", enable=0)
    await board.run_once(0)


@cocotb.test()
async def a_part_of_an_image_is_flushed(dut: Any) -> None:
    """Images that wait, and one whose sender has died, are forgotten; what is running is not."""
    board = Board(dut)
    await board.begin(pausing=False)
    await board.load()
    await board.put("STREAM", enable=1)
    board.offer(0)
    board.offer(1)
    while await board.get("CYCLES") == 0 or await board.get("STATUS", "IMAGES") < 1:
        pass
    # Two beats of an image, and no more, from where the source of images rests.
    assert board.images.idle()
    beat = int(cocotb.plusargs["stream_bits"]) // 8
    dut.s_axis_tvalid.value = 1
    dut.s_axis_tdata.value = 5
    dut.s_axis_tkeep.value = (1 << beat) - 1
    dut.s_axis_tlast.value = 0
    taken = 0
    while taken < 2:
        await RisingEdge(dut.clk)
        taken += dut.s_axis_tready.value == 1
    dut.s_axis_tvalid.value = 0
    assert await board.get("STATUS", "RECEIVING") == 1
    await board.put("STREAM", enable=1, flush=1)
    await board.take(0)
    assert await board.get("STATUS", "RECEIVING") == 0
    assert await board.get("STATUS", "IMAGES") == 0
    board.offer(2)
    await board.take(2)
    assert await board.get("RUNS") == 2
    assert await board.events() == {"DONE"}
    await board.put("STREAM", enable=0)
    assert await board.get("STATUS", "LOCKED") == 0


@cocotb.test()
async def resets_in_the_middle(dut: Any) -> None:
    """At any moment of loading, running, receiving and sending: afterwards everything is as at the start."""
    board = Board(dut)
    await board.begin(pausing=True)
    for _ in range(8):
        await board.load()
        await board.put("STREAM", enable=1)
        for image in range(3):
            board.offer(image)
        loading = cocotb.start_soon(board.events())
        await ClockCycles(dut.clk, board.random.randint(1, sum(board.cycles[:3])))
        loading.cancel()
        await board.reset()
        board.results.clear()
        board.images.clear()
        for name in ("STREAM", "EVENTS", "INTERRUPTS", "STATUS", "RUNS", "CYCLES"):
            assert await board.read(board.described.register(name).address) == bytes(4), name
        assert await board.get("INPUTS") == 1
    await board.load()
    await board.run_once(0)
    await board.put("STREAM", enable=1)
    board.offer(1)
    await board.take(1)
