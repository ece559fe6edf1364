"""Two runs never write the same file, also where it is not the one that was named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import zeroskip
from zeroskip.api.compare import CompareSettings, compare
from zeroskip.api.eie.bench_search import bench_search
from zeroskip.api.eie.sweep import sweep_eie
from zeroskip.api.mma.product import run_product
from zeroskip.model import temporary
from zeroskip.model.search.settings import AmcSettings
from zeroskip.model.temporary import reserved

DATA = (np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32), np.arange(40) % 3)


def search(folder: Path) -> object:
    return zeroskip.search(nn.Linear(6, 3), DATA, output=folder / "plan.json")


def simulate(folder: Path) -> object:
    return zeroskip.simulate(folder / "net.zs", DATA, report=folder / "page.html")


CALLS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "search": (
        search,
        [
            *("plan.json", "plan.json.journal", "plan.png", "plan.curves.csv", "plan.curves.json", "plan.curves.png"),
            *("plan.iterations.csv", "plan.iterations.png", "plan.adapted.safetensors"),
            *("plan.episodes.csv", "plan.episodes.png"),
        ],
    ),
    "compare": (
        lambda folder: compare(nn.Linear(6, 3), DATA, output=folder / "table.json", settings=CompareSettings()),
        ["table.json", "table.png", "table.trials"],
    ),
    "bench search": (
        lambda folder: bench_search(nn.Linear(6, 3), DATA, output=folder / "bench.json"),
        ["bench.json", "bench.json.eie-cycles.journal", "bench.json.macs.journal"],
    ),
    "demo": (
        lambda folder: zeroskip.demo(output=folder / "run"),
        ["run", "run/network.zs", "run/training.safetensors", "run/report.html", "run/report.vcd"],
    ),
    "sweep": (lambda folder: sweep_eie(output=folder / "figures"), ["figures", "figures.md"]),
    "simulate": (simulate, ["page.html", "page.vcd"]),
    "product": (lambda folder: run_product(folder / "product.npz"), ["product.d.npz", "product.d.vcd"]),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_other_run_writes_what_a_run_writes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "WAIT", 0)
    call, files = CALLS[name]
    for file in files:
        with (
            reserved(tmp_path / file),
            pytest.raises(OSError, match=f"{Path(file).name} is being written by another run of zeroskip"),
        ):
            call(tmp_path)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("method", ["sensitivity", "amc", "netadapt"])
def test_the_files_of_a_search_are_those_that_it_reserves(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    real = temporary.reserved
    monkeypatch.setattr("zeroskip.api.paths.reserved", lambda *paths: taken.extend(paths) or real(*paths))
    settings = zeroskip.SearchSettings(method=method, cost="macs", amc=AmcSettings(episodes=4, warm_up=2))  # type: ignore[arg-type]
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    result = zeroskip.search(network, DATA, settings=settings, output=tmp_path / "plan.json")
    written = {path for path in tmp_path.iterdir() if path.is_file()}
    assert written <= {*taken}
    assert {*result.files} < written


def test_types_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"layers must be .*, not 'Alex-6'"):
        sweep_eie(output=tmp_path, layers="Alex-6")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed must be at least 0, not -1"):
        sweep_eie(output=tmp_path, seed=-1)
