"""cocotb bench that measures the cycles between the results that an array writes into memory, for a list of images; the
memory never pauses.

+network, +inputs and +rate as for rate_bench.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge
from cocotb.utils import get_sim_time

from zeroskip.cosim.bus.list_bench import BASE, ListBoard
from zeroskip.cosim.bus.lists import image, overlapped, padded, result
from zeroskip.cosim.bus.peers import CLOCK_NS
from zeroskip.cosim.end_together import end_together
from zeroskip.rtl.bus.lists import ListError

end_together()


@cocotb.test()
async def images_of_a_list(dut: Any) -> None:
    board = ListBoard(dut)
    await board.ready(pausing=False)
    images, results = [], []
    for values in board.inputs:
        images.append(image(board.store(padded(values)), board.network.inputs))
        results.append(result(board.room(len(padded(board.outputs[0]))), board.outputs.shape[1]))
    ends: list[float] = []
    cocotb.start_soon(_written(dut, ends))
    await board.start(board.listed(overlapped(images, results))[0])
    assert await board.ended() is ListError.NONE
    for values, descriptor in zip(board.outputs, results, strict=True):
        at = descriptor.address - BASE
        assert bytes(board.ram[at : at + descriptor.length]) == values.astype("<i2").tobytes()
    assert len(ends) == len(results)
    cycles = (ends[-1] - ends[0]) / (len(ends) - 1)
    Path(cocotb.plusargs["rate"]).write_text(json.dumps({"cycles": cycles, "runs": board.cycles}))


async def _written(dut: Any, ends: list[float]) -> None:
    """When each burst of a result was taken by the memory."""
    while True:
        await RisingEdge(dut.clk)
        if dut.m_axi_bvalid.value == 1 and dut.m_axi_bready.value == 1:
            ends.append(get_sim_time("ns") / CLOCK_NS)
