"""cocotb bench that measures the cycles between the results of images that come over AXI4-Stream without pauses.

+network and +inputs as for eie_bench.py. The file +rate takes the mean number of cycles from one result to the next.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cocotb
from cocotb.utils import get_sim_time

from zeroskip.cosim.bus.eie_bench import Board
from zeroskip.cosim.bus.peers import CLOCK_NS
from zeroskip.cosim.end_together import end_together

end_together()


@cocotb.test()
async def images_without_pauses(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=False)
    await board.load()
    await board.put("STREAM", enable=1)
    for image in range(len(board.inputs)):
        board.offer(image)
    ends = []
    for image in range(len(board.inputs)):
        await board.take(image)
        ends.append(get_sim_time("ns") / CLOCK_NS)
    cycles = (ends[-1] - ends[0]) / (len(ends) - 1)
    Path(cocotb.plusargs["rate"]).write_text(json.dumps({"cycles": cycles, "runs": board.cycles}))
