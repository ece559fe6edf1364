"""cocotb bench of the EIE array's ports, all of which pause at random: slow, but it finds errors that player.v cannot.

The network and the inputs come from the files +network and +inputs. Every output must equal the golden model, every
run must take the cycles of the cycle model, and a result must not change until it is taken.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer
from cocotbext.axi.stream import define_stream

from zeroskip.cosim.eie.program import Packer, network_transfers
from zeroskip.cosim.end_together import end_together
from zeroskip.model.eie import bundle, cycles, golden

end_together()

BeatBus, Beat, BeatSource, BeatSink, _ = define_stream("Beat", signals=["payload", "valid", "ready"])


def pauses(seed: int) -> Iterator[bool]:
    """Bursts of pauses and of transfers, from one cycle to a few."""
    generator = random.Random(seed)
    while True:
        for pause in (True, False):
            for _ in range(generator.randint(0, 4)):
                yield pause


async def result_stands_still(dut: Any) -> None:
    """Stream rule 2: once valid, valid and payload hold until the transfer."""
    waiting = None
    while True:
        await RisingEdge(dut.clk)
        valid, ready = dut.result__valid.value == 1, dut.result__ready.value == 1
        payload = int(dut.result__payload.value) if valid else None
        assert waiting is None or payload == waiting, f"the result {waiting} was withdrawn for {payload}"
        waiting = payload if valid and not ready else None


@cocotb.test()
async def ports_that_pause(dut: Any) -> None:
    network = bundle.load(Path(cocotb.plusargs["network"]))
    inputs = np.load(cocotb.plusargs["inputs"])
    layers = golden.run(network, inputs)
    predicted = cycles.run(network, [layer.inputs for layer in layers])

    # Reset before the first edge: registers start at random.
    dut.start.value = 0
    dut.first.value = 0
    dut.rst.value = 1
    await Timer(1, "ns")
    Clock(dut.clk, 2, unit="ns").start()
    source = {name: BeatSource(BeatBus.from_prefix(dut, f"{name}_"), dut.clk, dut.rst) for name in ("load", "read")}
    sink = BeatSink(BeatBus.from_prefix(dut, "result_"), dut.clk, dut.rst)
    for seed, stream in enumerate([*source.values(), sink]):
        stream.set_pause_generator(pauses(cocotb.RANDOM_SEED + seed))
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    cocotb.start_soon(result_stands_still(dut))

    packer = Packer(network.geometry)
    for transfer in network_transfers(network):
        source["load"].send_nowait(Beat(payload=packer.word(transfer)))
    for image, (expected, layer_cycles) in enumerate(zip(layers[-1].outputs, predicted, strict=True)):
        count, data = packer.activations(inputs[image : image + 1])
        for word in data.reshape(count, packer.bytes):
            source["load"].send_nowait(Beat(payload=int.from_bytes(word.tobytes(), "big")))
        await source["load"].wait()

        dut.start.value = 1
        await RisingEdge(dut.clk)
        while dut.idle.value != 1:
            await RisingEdge(dut.clk)
        dut.start.value = 0
        taken = 0
        while dut.done.value != 1:
            await RisingEdge(dut.clk)
            taken += 1
        assert taken == layer_cycles.sum() + cycles.START_TO_DONE, f"image {image} took {taken} cycles"

        for index in range(len(expected)):
            source["read"].send_nowait(Beat(payload=index))
        got = [int((await sink.recv()).payload) for _ in expected]
        assert np.array_equal(np.array(got, np.uint16).view(np.int16), expected), f"image {image} gave {got}"
