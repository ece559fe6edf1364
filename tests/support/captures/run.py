"""Runs every instruction that the GPU has on every class of operands."""

from __future__ import annotations

import concurrent.futures
import datetime
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .file import Capture
from .instructions import INSTRUCTIONS, Instruction
from .operands import classes, make
from .registers import from_registers, to_registers


def run(file: Path, rows: int) -> None:
    """Write the captured file: `rows` rows of A of each instruction and class."""
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(0)
    architecture = f"{properties['major']}{properties['minor']}" + ("a" if properties["major"] >= 9 else "")
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    capture = Capture(
        gpu=properties["name"].decode(),
        driver=subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0],
        date=datetime.date.today().isoformat(),
    )
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor() as pool:
        binaries = list(pool.map(lambda one: _compile(one, architecture, Path(name)), INSTRUCTIONS))
        for number, (instruction, binary) in enumerate(zip(INSTRUCTIONS, binaries, strict=True)):
            if binary is None:
                print(f"{instruction.name}: {capture.gpu} does not have it")
                continue
            kernel = cupy.RawModule(path=str(binary)).get_function("run")
            for index, kind in enumerate(classes(instruction)):
                rng = np.random.default_rng([number, index])
                instances = make(instruction, kind, rows // instruction.rows, rng)
                a, b, c, e = (cupy.asarray(words) for words in to_registers(instruction, instances, rng))
                d: Any = cupy.zeros_like(c)
                threads = 32 * instruction.warps
                kernel((len(c),), (threads,), (a, b, c, e, cupy.asarray(instances.selectors), d))
                capture.add(instruction, kind, instances, from_registers(instruction, d.get()))
    capture.write(file)
    print(f"{file}: {capture.results:,} results of {capture.gpu}, driver {capture.driver}")


def _compile(instruction: Instruction, architecture: str, folder: Path) -> Path | None:
    """The instruction's kernel for this GPU; None where the GPU does not have the instruction."""
    source, binary = folder / f"{instruction.name}.cu", folder / f"{instruction.name}.cubin"
    source.write_text(instruction.source())
    target = f"-gencode=arch=compute_{architecture},code=sm_{architecture}"
    command = ["nvcc", "-w", "-cubin", target, "-o", str(binary), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return binary
    if "not supported on .target" in done.stderr or "requires .target" in done.stderr:
        return None
    raise SystemExit(f"{instruction.name}: nvcc failed: {done.stderr}")
