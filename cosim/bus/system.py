"""The files of a package in which an EIE array stands beside a RISC-V processor, and what that must record."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bus.network_image import network_image
from zeroskip.cosim.eie.models import run_models
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.bus.register_map import RegisterMap

FOLDER = PACKAGE / "cosim/bus/riscv"

FIRMWARE = ("start.S", "main.c", "link.ld")

REFUSED = "E -5 -5 -10 0 -11 -9 -9"
"""What the driver returns where the firmware asks for what is refused: a layer that is not there, no inputs, a write of
ID, (streams that were on for a moment,) a read of nothing, a start while the streams are on, and their end after it."""

WORD_CYCLES, VALUE_CYCLES, RUN_CYCLES = 100, 500, 20_000
"""More cycles than the processor takes for a word of the network, a value of an image or a result, and a run."""

MOST_CYCLES = 2**32 - 1


def processor_file() -> Path:
    """PicoRV32, as its package on PyPI has it. Raises ValueError where that is not installed."""
    found = find_spec("pythondata_cpu_picorv32")
    if found is None or found.origin is None:
        raise ValueError("system riscv needs PicoRV32; install it with: pip install 'zeroskip[riscv]'")
    return Path(found.origin).parent / "verilog/picorv32.v"


def system_files(
    described: RegisterMap, network: EieNetwork, inputs: NDArray[np.int16], *, stream_bits: int
) -> Mapping[str, str]:
    """The folder `system`: processor, system, firmware, the ROM with a network and its images (int16, images x inputs),
    and the record that is expected. The core is on AXI, with the map `described`."""
    image = network_image(described, network)
    jobs, lines, limit = _jobs(network, inputs)
    rom = np.concatenate([np.array([len(image), len(jobs)], np.uint32), image, *jobs])
    limit += WORD_CYCLES * len(image)
    macros = {
        "ADDRESS_BITS": described.address_bits,
        "STREAM_BITS": stream_bits,
        "ROM_WORDS": len(rom),
        "MOST_CYCLES": f"32'd{min(limit, MOST_CYCLES)}",
    }
    head = "".join(f"`define {name} {value}\n" for name, value in macros.items())
    return {
        "system/picorv32.v": processor_file().read_text(),
        "system/system.v": head + (FOLDER / "system.v").read_text(),
        **{f"system/firmware/{name}": (FOLDER / "firmware" / name).read_text() for name in FIRMWARE},
        "system/firmware.hex": (FOLDER / "firmware/firmware.hex").read_text(),
        "system/rom.hex": "@0\n" + "".join(f"{word:08x}\n" for word in rom.tolist()),
        "system/expected.txt": "\n".join(["N 0 -3 0", *lines, ""]),
    }


def _jobs(network: EieNetwork, inputs: NDArray[np.int16]) -> tuple[list[NDArray[np.uint32]], list[str], int]:
    """The starts of all stages for the ROM, what the firmware must record of them, and cycles that are more than
    enough."""
    jobs: list[NDArray[np.uint32]] = []
    lines: list[str] = []
    cycles: list[int] = []
    limit = 0

    def run_stage(stage: Stage, rows: NDArray[np.int16]) -> NDArray[np.int16]:
        nonlocal limit
        models = run_models(network, stage, rows)
        count = models.outputs.shape[1]
        for row, outputs, taken in zip(rows, models.outputs, models.cycles.tolist(), strict=True):
            values = np.append(row, np.zeros(len(row) % 2, np.int16)).astype("<i2").view("<u4")
            head = np.array([stage.layers[0], len(row), count, taken], np.uint32)
            jobs.append(np.concatenate([head, values.astype(np.uint32)]))
            lines.extend([f"C 0 {taken}", " ".join(["O", *map(str, outputs.tolist())])])
            cycles.append(taken)
            limit += 4 * taken + VALUE_CYCLES * (len(row) + count) + RUN_CYCLES
        return models.outputs

    run_stages(network.stages, inputs, run_stage, lambda index, given: network.run_host(index, given)[0])
    # The first one again, after what is refused.
    lines += [REFUSED, *lines[:2], f"S {len(cycles) + 1} {(sum(cycles) + cycles[0]) % 2**32} 0"]
    return jobs, lines, 2 * limit
