"""The page of a run of the tile: what it shows are the operands, the codes, and the golden model's sums."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.browser import needs_chromium, run_in_browser
from support.tile_networks import mlp, pruned
from support.tile_pages import TilePage, make_page, random_product
from support.traces import cycles_of, events_of, of_track
from support.viewers import number_of, run_of, step_through

from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.mma.trace import MmaDecoder
from zeroskip.cosim.mma.viewer import TileViewer
from zeroskip.cosim.mma.viewer_arrays import KINDS, NONE
from zeroskip.cosim.mma.viewer_plan import plan_network, plan_products
from zeroskip.cosim.mma.viewer_words import values_of
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import verify
from zeroskip.cosim.waves.decoder import write_trace
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.convert import from_raw
from zeroskip.model.mma.gemm import Images, Operand, Product
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.model.mma.golden import gemm
from zeroskip.model.mma.numerics import OPERANDS, RESULTS, raw_type
from zeroskip.model.network.pattern import Pattern
from zeroskip.rtl.mma.layouts import timing

SMALL = {"m": 1, "n": 2, "a_words": 8, "b_words": 4, "d_words": 12}
TILES = {
    "fp16, 2:4": TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16),
    "fp16, dense only": TileGeometry(m=1, n=3, keep=4, group=4, a_words=64, b_words=64, d_words=64),
    "int8, 2:4": TileGeometry(m=2, n=3, dtype="int8", out="int32", a_words=8, b_words=4, d_words=8),
    "int4, 4:8 in pairs": mode_geometry(generation="A100", dtype="int4", out="int32_sat", **{**SMALL, "k": 8}),
    "tf32, 1:2": mode_geometry(generation="A100", dtype="tf32", out="fp32", **SMALL),
}

Made = tuple[TilePage, dict[str, NDArray[Any]]]


@pytest.fixture(scope="module", params=[*TILES, "fp16, 2:4, dense product"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A product in several jobs, not all of them of whole tiles."""
    geometry = TILES[request.param.removesuffix(", dense product")]
    rng = np.random.default_rng(7)
    sizes = (3 * geometry.m - (geometry.m > 1), 2 * geometry.n - 1, 3 * geometry.window - 3)
    folder = tmp_path_factory.mktemp("tile")
    page = make_page(folder, geometry, [random_product(rng, geometry, *sizes, dense="dense" in request.param)])
    return page, arrays_of(page)


def arrays_of(page: TilePage) -> dict[str, NDArray[Any]]:
    """The page's arrays, those of words in rows."""
    geometry, (_, flat) = page.geometry, run_of(page.folder / "run.html")
    units = geometry.m * geometry.n
    widths = {"a": geometry.m, "codes": geometry.m, "b": geometry.n, "chosen": units, "d": units, "c": units}
    widths |= {"a_values": geometry.k, "b_values": geometry.window, "chosen_values": geometry.k}
    widths |= {"code_values": geometry.groups}
    return {name: array.reshape(-1, widths[name]) if name in widths else array for name, array in flat.items()}


def steps_of(page: TilePage, arrays: dict[str, NDArray[Any]]) -> Any:
    """Of each step, in their order: its number, its job, and the tiles of A and B on which it works."""
    plan = plan_products(page.products, page.geometry)
    jobs = arrays["job"][arrays["fetched"] != NONE]
    for step, number in enumerate(jobs):
        job = plan[number].job
        down, across = arrays["sum"][step] % len(job.rows), arrays["sum"][step] // len(job.rows)
        yield step, job, job.rows.start + down, job.columns.start + across, job.steps.start + arrays["number"][step]


def test_cycles_are_those_of_the_run_and_of_the_models(made: Made) -> None:
    """Each job with the cycle of `done`, in which its last results are written."""
    page, arrays = made
    assert np.bincount(arrays["job"]).tolist() == [cycles + 1 for cycles in page.job_cycles]
    assert TileViewer(page.geometry, plan_products(page.products, page.geometry)).cycles() == len(arrays["job"])


def test_steps_go_through_the_pipeline_in_its_time(made: Made) -> None:
    """Every step is fetched, enters two cycles later, takes its sum and writes it when the timing says."""
    page, arrays = made
    times = timing(page.geometry)
    count = len(arrays["sum"])
    fetched = np.flatnonzero(arrays["fetched"] != NONE)
    for name, late in (("fetched", 0), ("entered", 2), ("taken", 2 + times.take), ("written", 3 + times.stages)):
        assert arrays[name][fetched + late].tolist() == list(range(count))
        assert np.count_nonzero(arrays[name] != NONE) == count


def test_waits_are_those_of_the_trace(made: Made) -> None:
    page, arrays = made
    write_trace(page.folder / "run.json", page.folder / "run.vcd", MmaDecoder(page.geometry))
    events = events_of(page.folder / "run.json")
    steps, jobs = (of_track(events, "Tile", name) for name in ("steps", "jobs"))
    # The page leaves out what lies between the jobs.
    shown = [cycle for job in jobs for cycle in range(job["ts"], job["ts"] + job["dur"] + 1)]
    counts = dict(zip(KINDS, np.bincount(arrays["kind"], minlength=len(KINDS)).tolist(), strict=True))
    assert counts["starting"] + counts["stalled"] == cycles_of(steps, "waiting")
    assert [counts[kind] for kind in ("step", "draining")] == [cycles_of(steps, kind) for kind in ("step", "draining")]
    assert counts["done"] == len(page.job_cycles)
    reads = [shown.index(event["ts"]) for event in steps if event["cat"] == "read"]
    assert np.flatnonzero(arrays["reads_b"]).tolist() == arrays["fetched"][reads].tolist()


def test_operands_and_choices_are_those_of_the_product(made: Made) -> None:
    """The words of A and B in each step are those of the matrices, and each multiplexer gives the value of B that
    belongs to its kept value."""
    page, arrays = made
    geometry, (operand, b, _) = page.geometry, page.products[0]
    images = Images(*page.products[0], geometry)

    def numbers(raw: NDArray[Any]) -> NDArray[Any]:
        return values_of(raw.astype(np.uint32), geometry.operand)

    held = np.zeros((3 * geometry.window, b.shape[1]), b.dtype)
    held[: len(b)] = b >> getattr(geometry.operand, "dropped", 0)
    chosen = held[operand.where()]
    for step, _, down, across, number in steps_of(page, arrays):
        for row in range(geometry.m):
            expected = numbers(images.values[down, row, number])
            assert np.array_equal(arrays["a_values"][arrays["a"][step, row]], expected, equal_nan=True)
            if operand.codes is not None:
                codes = arrays["code_values"][arrays["codes"][step, row]]
                assert np.array_equal(codes, images.codes[down, row, number])
        for column in range(geometry.n):
            window = number // geometry.phases if operand.dense else number
            expected = numbers(images.b[across, column, window])
            assert np.array_equal(arrays["b_values"][arrays["b"][step, column]], expected, equal_nan=True)
            for row in range(geometry.m):
                i, j = down * geometry.m + row, across * geometry.n + column
                if images.codes is not None and i < operand.rows and j < b.shape[1]:
                    found = arrays["chosen_values"][arrays["chosen"][step, row * geometry.n + column]]
                    kept = chosen[i, number * geometry.k : (number + 1) * geometry.k, j]
                    assert np.array_equal(found[: len(kept)], numbers(kept), equal_nan=True)


def test_sums_are_those_of_the_golden_model(made: Made) -> None:
    """After each step a sum is what the golden model gives for the steps so far; and the last one says so."""
    page, arrays = made
    geometry, product = page.geometry, page.products[0]
    rows, columns = product[2].shape
    prefixes = [values_of(d.astype(np.uint32), geometry.result) for d in golden_after_steps(product, geometry)]
    for step, job, down, across, number in steps_of(page, arrays):
        assert bool(arrays["last"][step]) == (arrays["number"][step] == len(job.steps) - 1)
        assert (arrays["begins"][step] != NONE) == (arrays["number"][step] == 0)
        whole = np.zeros((4 * geometry.m, 4 * geometry.n), prefixes[0].dtype)
        whole[:rows, :columns] = prefixes[number + 1]
        i, j = down * geometry.m, across * geometry.n
        found = arrays["d"][step].reshape(geometry.m, geometry.n)[: rows - i, : columns - j]
        expected = whole[i : i + geometry.m, j : j + geometry.n][: rows - i, : columns - j]
        assert np.array_equal(found, expected, equal_nan=True)
        if arrays["number"][step] == 0:
            whole[:rows, :columns] = prefixes[number]
            begin = arrays["c"][arrays["begins"][step]].reshape(geometry.m, geometry.n)[: rows - i, : columns - j]
            expected = whole[i : i + geometry.m, j : j + geometry.n][: rows - i, : columns - j]
            assert np.array_equal(begin, expected, equal_nan=True)


def golden_after_steps(product: Product, geometry: TileGeometry) -> list[NDArray[Any]]:
    """C, and D after each step."""
    operand, b, c = product
    deep = geometry.k if operand.dense else geometry.window
    found = [c]
    for columns in range(deep, operand.columns + deep, deep):
        columns = min(columns, operand.columns)
        groups = -(-columns // operand.pattern.group)
        part = Operand(
            values=operand.values[:, : columns if operand.dense else groups * operand.pattern.keep],
            codes=None if operand.codes is None else operand.codes[:, :groups],
            columns=columns,
            pattern=operand.pattern,
        )
        found.append(gemm(part, b[:columns], c, geometry))
    return found


@needs_chromium
def test_the_page_steps_through_the_sums_in_a_browser(made: Made) -> None:
    """With the keys, from the first cycle to the last, as a user steps: in each cycle in which results go to D the
    texts of the units are those of the golden model."""
    page, arrays = made
    geometry, product = page.geometry, page.products[0]
    golden = values_of(gemm(*product, geometry).astype(np.uint32), geometry.result)
    seen = step_through(page.folder / "run.html", {"units": ".unit b", "count": "#count"})
    last = len(arrays["job"]) - 1
    assert [cycle["count"] for cycle in seen] == [[f"cycle {now} of {last}"] for now in range(last + 1)]
    for step, job, down, across, _ in steps_of(page, arrays):
        texts = seen[np.flatnonzero(arrays["written"] == step)[0]]["units"]
        for row, column in np.ndindex(geometry.m, geometry.n):
            i, j = down * geometry.m + row, across * geometry.n + column
            if job.last and arrays["last"][step] and i < len(golden) and j < golden.shape[1]:
                assert number_of(texts[row * geometry.n + column]) == pytest.approx(golden[i, j], rel=1e-4, nan_ok=True)
    unwritten = np.flatnonzero(arrays["written"] == NONE)
    assert {text for cycle in unwritten for text in seen[cycle]["units"]} == {"\u2013"}


@needs_chromium
def test_keys_and_units(made: Made) -> None:
    """L goes to the next job, S to the next stall, and where none is left the sentence says so; a unit that is pressed
    shows its multiplexers, and the address keeps the cycle."""
    page, arrays = made
    seen = run_in_browser(
        page.folder / "run.html",
        """
        const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        const now = () => [document.getElementById("scrub").value, location.hash];
        const seen = {};
        for (const key of ["Home", "l", "Home", "s", "End"]) { press(key); seen[key] = now(); }
        press("l");
        seen.none = document.getElementById("caption").textContent;
        document.querySelectorAll(".unit")[1].click();
        seen.title = document.querySelector(".selection h2").textContent;
        seen.pressed = Array.from(document.querySelectorAll(".unit"), (unit) => unit.getAttribute("aria-pressed"));
        return seen;
        """,
    )
    last = len(arrays["job"]) - 1
    stalls = np.flatnonzero(arrays["kind"] == KINDS.index("stalled"))
    expected = {"Home": 0, "l": np.argmax(arrays["job"] == 1), "s": stalls[0] if len(stalls) else 0, "End": last}
    assert {key: seen[key] for key in expected} == {key: [f"{now}", f"#{now}"] for key, now in expected.items()}
    assert seen["none"] == f"No job begins after cycle {last}."
    assert seen["title"].endswith(" of row 0, column 1")
    assert seen["pressed"].index("true") == 1


def test_the_page_loads_nothing(made: Made) -> None:
    text = (made[0].folder / "run.html").read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<link[^>]+stylesheet|src=|@import|url\(|fetch\(", text)


def test_a_network_and_its_layers(tmp_path: Path) -> None:
    """The jobs have the names of their layers, and the last sums are what the network gives."""
    geometry = TILES["fp16, 2:4"]
    network = compile_network(pruned(mlp(7), Pattern()), (30,), geometry)
    inputs, _ = load_driver("mma").encode(network, np.ones((3, 30), np.float32), saturate=False)
    plan = plan_network(network, inputs)
    assert [job.title for job in plan] == ["layer 0, job 0", "layer 0, job 1", "layer 1"]
    viewer = load_driver("mma").viewer(network, inputs)
    verification = verify(network, inputs, recording=Recording(file=tmp_path / "run.vcd", format="vcd"))
    assert viewer.cycles() == verification.run.cycles.totals.sum() + len(plan)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog")
def test_icarus_gives_the_same_page(tmp_path: Path) -> None:
    """Unknown values before the first word are in no step."""
    geometry = TILES["int8, 2:4"]
    product = random_product(np.random.default_rng(7), geometry, 5, 5, 45, dense=False)
    pages = []
    for simulator in Simulator:
        (tmp_path / simulator.value).mkdir()
        made = make_page(tmp_path / simulator.value, geometry, [product], simulator)
        pages.append((made.folder / "run.html").read_text())
    assert pages[0] == pages[1]


@pytest.mark.parametrize("form", ["fp16", "bf16", "fp32"])
def test_numbers_of_floats(form: str) -> None:
    raw = np.arange(1 << 16, dtype=np.uint32) * np.uint32(65537 if form == "fp32" else 1)
    wanted = from_raw(raw.astype(raw_type((OPERANDS | RESULTS)[form])), form)
    assert np.array_equal(values_of(raw, (OPERANDS | RESULTS)[form]), wanted, equal_nan=True)


@pytest.mark.parametrize(
    ("form", "raw", "value"),
    [("e4m3", 0x7E, 448), ("e4m3", 0x7F, np.nan), ("e5m2", 0xFC, -np.inf), ("e5m2", 1, 2**-16), ("int4", 8, -8)],
)
def test_numbers_of_small_formats(form: str, raw: int, value: float) -> None:
    assert np.array_equal(values_of(np.array([raw], np.uint32), OPERANDS[form]), [value], equal_nan=True)
