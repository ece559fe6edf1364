"""Measures how long ResNet-20 takes, and adds it to docs/measured/resnet-20.json: `measure_resnet.py compile`, `golden`
or `rtl`, each some minutes. The images are random, of the shape of CIFAR's: time does not depend on what they show."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tables import DOCS

from zeroskip.api.compile import CompileSettings, compile
from zeroskip.api.eie.compile import EieCompileSettings
from zeroskip.api.simulate import SimulateSettings, simulate
from zeroskip.model.core import golden_run
from zeroskip.model.cores import load_core
from zeroskip.model.progress import Step

FILE = DOCS / "measured/resnet-20.json"
NETWORK = Path(tempfile.gettempdir()) / "zeroskip-resnet-20.zs"
COMPILED, GOLDEN, SIMULATED = 2_000, 1_000, 5


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(count, 3, 32, 32)).astype(np.float32), random.integers(10, size=count)


def measured_compile() -> dict[str, Any]:
    settings = CompileSettings(own=EieCompileSettings(pes=16))
    begun: list[float] = []

    def progress(step: Step) -> None:
        if step.task == "running the golden model" and not begun:
            begun.append(time.monotonic())

    result = compile(
        "zeroskip.networks:resnet_20", images(COMPILED), settings=settings, output=NETWORK, progress=progress
    )
    # The golden model is the last that takes time.
    golden = time.monotonic() - begun[0]
    return {"seconds": result.seconds, "golden_seconds": golden, "golden_images": result.golden_images}


def measured_golden() -> dict[str, Any]:
    from zeroskip.api.simulate import load_compiled

    network = load_compiled(NETWORK)[1]
    inputs, _ = images(GOLDEN)
    golden_run(load_core("eie"), network, inputs[:10])
    start = time.monotonic()
    golden_run(load_core("eie"), network, inputs)
    return {"seconds": time.monotonic() - start, "images": GOLDEN}


def measured_rtl() -> dict[str, Any]:
    result = simulate(NETWORK, images(COMPILED), settings=SimulateSettings(limit=SIMULATED))
    assert result.equal
    return {
        "seconds": result.seconds,
        "images": SIMULATED,
        "pes": result.verification.network.geometry.pes,
        "cycles_per_image": float(result.verification.cycles.mean()),
        "values": result.verification.values,
        "mismatches": result.verification.mismatches,
    }


def cpu_seconds() -> float:
    """Those of this process and of the simulator, on all cores; time in which others had the cores does not count."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


PARTS = {"compile": measured_compile, "golden": measured_golden, "rtl": measured_rtl}

if __name__ == "__main__":
    results = json.loads(FILE.read_text()) if FILE.exists() else {}
    results[sys.argv[1]] = {**PARTS[sys.argv[1]](), "cpu_seconds": cpu_seconds()}
    FILE.write_text(json.dumps(results, indent=1) + "\n")
