"""Measures what recording costs, for docs/howto/waveforms-and-traces.md, and writes it to docs/measured/waves.json: CPU
seconds of the simulator with and without a waveform, and pages of the viewer in Chromium. Takes some minutes and a few
GB for temporary files; on a machine that does nothing else."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tables import DOCS

from zeroskip.cosim.build import WaveFormat
from zeroskip.cosim.bus.rate import LENET_GEOMETRY, made_up_lenet
from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.mapping import record as mapping
from zeroskip.cosim.mapping.design import mapper_design
from zeroskip.cosim.mapping.program import layer_program
from zeroskip.cosim.mma import record as mma
from zeroskip.cosim.mma.play import verify_gemms
from zeroskip.cosim.record import record_network
from zeroskip.cosim.records import Records
from zeroskip.cosim.session import NO_LIMIT, Recording, Session
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import verify
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.layer import LayerPlan, plan_layer
from zeroskip.model.mma.gemm import Product, dense_operand
from zeroskip.model.mma.geometry import TileGeometry

TIMES = 3
FORMATS: tuple[WaveFormat, ...] = ("vcd", "fst")
FOUR_PES = dataclasses.replace(LENET_GEOMETRY, pes=4, entry_words=2048, activation_rows=256)
TILE = TileGeometry(a_words=1024, b_words=1024, d_words=1024)

Run = Callable[[Recording | None], int]
"""Runs a simulation, recorded or not; returns its cycles."""


def array(geometry: EieGeometry, samples: int) -> Run:
    network, images = made_up_lenet(samples, geometry)
    return lambda recording: int(verify(network, images, recording=recording).cycles.sum())


def product(size: int) -> Product:
    """Matrices of this size, of random numbers from 1 to 2 in fp16 and C of zeros."""
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(1, 2, (size, size)).astype(np.float16).view(np.uint16) for _ in range(2))
    return dense_operand(a, TILE.pattern), b, np.zeros((size, size), np.uint32)


def tile(size: int) -> Run:
    def run(recording: Recording | None) -> int:
        (checked,), _ = verify_gemms([product(size)], TILE, recording=recording)
        return sum(checked.run.job_cycles)

    return run


def layer(count: int) -> LayerPlan:
    """Of so many points in a cube of this many places, and the offsets of a kernel of 3 x 3 x 3."""
    places = np.random.default_rng(0).permutation(32**3)[:count]
    points = np.stack([0 * places, *np.unravel_index(places, (32, 32, 32))], axis=1)
    return plan_layer(points, np.indices((3, 3, 3)).reshape(3, -1).T - 1, MapperGeometry())


def unit(count: int) -> Run:
    plan = layer(count)

    def run(recording: Recording | None) -> int:
        with Session(mapper_design(plan.geometry), recording=recording) as session:
            session.play(layer_program(plan, [NO_LIMIT] * len(plan.cycles)))
        return sum(plan.cycles)

    return run


RUNS: dict[str, Callable[[], Run]] = {
    "EIE array, 4 PEs, 100 samples": lambda: array(FOUR_PES, 100),
    "EIE array, 16 PEs, 100 samples": lambda: array(LENET_GEOMETRY, 100),
    "N:M tile, 4 x 4 units": lambda: tile(256),
    "mapping unit, 8 keys": lambda: unit(6000),
}


def seconds_of(run: Run, form: WaveFormat | None, folder: Path) -> dict[str, Any]:
    """CPU seconds of the processes that a run starts, its cycles, and the bytes of its waveform."""
    file = folder / f"run.{form}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cycles = run(None if form is None else Recording(file=file, format=form))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = 0 if form is None else file.stat().st_size
    file.unlink(missing_ok=True)
    return {"seconds": seconds, "cycles": cycles, "bytes": size}


def cost(name: str, run: Run, folder: Path) -> dict[str, Any]:
    """The medians of runs by turns, behind one each that builds the simulators."""
    forms = (None, *FORMATS)
    for form in forms:
        seconds_of(run, form, folder)
    found = [[seconds_of(run, form, folder) for form in forms] for _ in range(TIMES)]
    medians = [statistics.median(one[place]["seconds"] for one in found) for place in range(len(forms))]
    last = found[-1]
    print(name, medians, flush=True)
    return {
        "name": name,
        "cycles": last[0]["cycles"],
        "seconds": medians[0],
        "waves": {
            form: {"seconds": medians[place], "bytes": last[place]["bytes"]} for place, form in enumerate(FORMATS, 1)
        },
    }


def array_page(page: Path) -> None:
    network, images = made_up_lenet(4)
    viewer = load_driver(network.core).viewer(network, images)
    record_network(
        network,
        images,
        Records(viewer=page),
        name="LeNet-300-100",
        viewer=viewer,
        simulator=Simulator.VERILATOR,
        load="direct",
        seed=0,
    )


def tile_page(page: Path) -> None:
    products = [product(64)]
    mma.record_products(
        products,
        TILE,
        Records(viewer=page),
        name="product",
        viewer=mma.viewer_of(products, TILE),
        simulator=Simulator.VERILATOR,
        load="direct",
        seed=0,
    )


def unit_page(page: Path) -> None:
    plan = layer(250)
    mapping.record_layer(
        plan,
        Records(viewer=page),
        name="layer",
        viewer=mapping.viewer_of(plan),
        simulator=Simulator.VERILATOR,
        seed=0,
    )


PAGES: dict[str, Callable[[Path], None]] = {
    "EIE array, 16 PEs": array_page,
    "N:M tile, 4 x 4 units": tile_page,
    "mapping unit, 8 keys": unit_page,
}

PROBE = """<script>
document.body.getBoundingClientRect();
document.querySelectorAll("canvas").forEach((canvas) => canvas.getContext("2d").getImageData(0, 0, 1, 1));
document.body.append(Object.assign(document.createElement("pre"), {id: "probe", textContent: JSON.stringify(
    {cycles: 1 + Number(document.getElementById("scrub").max), seconds: performance.now() / 1000})}));
</script></body>"""
"""Behind the page's own scripts: has everything laid out and drawn, and says when, from the opening of the page on."""


def opened(name: str, write: Callable[[Path], None], folder: Path) -> dict[str, Any]:
    """The cycles and bytes of a page, and the median of the seconds after which its first cycle stands there."""
    chromium = shutil.which("chromium")
    assert chromium is not None, "needs Chromium: apt-get install chromium"
    page = folder / "page.html"
    write(page)
    size = page.stat().st_size
    page.write_text(page.read_text().replace("</body>", PROBE))
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'chromium'}", "--dump-dom"]
    found = []
    for _ in range(TIMES):
        made = subprocess.run([chromium, *flags, page.as_uri()], capture_output=True, text=True, check=True)
        text = re.search(r'<pre id="probe">(.*?)</pre>', made.stdout)
        assert text is not None, "the page's scripts did not run to their end"
        found.append(json.loads(html.unescape(text[1])))
    seconds = statistics.median(one["seconds"] for one in found)
    print(name, found[0]["cycles"], size, seconds, flush=True)
    return {"name": name, "cycles": found[0]["cycles"], "bytes": size, "seconds": seconds}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        pages = [opened(core, write, Path(name)) for core, write in PAGES.items()]
        runs = [cost(core, make(), Path(name)) for core, make in RUNS.items()]
    result = {"times": TIMES, "runs": runs, "pages": pages}
    (DOCS / "measured/waves.json").write_text(json.dumps(result, indent=1) + "\n")
