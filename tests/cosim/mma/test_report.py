"""The report of a run on the tile: its figures are those of the run, and the page stands alone."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from support.tile_networks import mlp, pruned

from zeroskip.cosim.report.page import write_report
from zeroskip.cosim.verify import Verification, verify
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.storage import stored_bits
from zeroskip.model.network.pattern import Pattern

TINY = TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16)


@pytest.fixture(scope="module")
def verification() -> Verification:
    network = compile_network(pruned(mlp(7), Pattern()), (30,), TINY)
    return verify(network, np.random.default_rng(7).normal(size=(9, 30)).astype(np.float32))


def rows(page: str) -> dict[str, list[list[str]]]:
    """The rows of all tables, by their first cell."""
    found: dict[str, list[list[str]]] = {}
    for row in re.findall(r"<tr.*?</tr>", page, re.S):
        first, *others = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        found.setdefault(first, []).append(others)
    return found


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_figures(verification: Verification, tmp_path: Path) -> None:
    """Cycles, multipliers, transfers and storage are those of the run, and their parts add up."""
    write_report(
        tmp_path / "report.html", title="A tile", verification=verification, accuracy={"hardware": 0.5}, facts={}
    )
    page = (tmp_path / "report.html").read_text()
    found = rows(page)
    layers, moved = [found[f"layer {index}"][0] for index in range(2)], found["all"][1]
    assert [number(layer[4]) for layer in layers] == pytest.approx(verification.cycles_by_layer, abs=0.05)
    assert found["all"][0][-1] == f"{100 * verification.run.utilisation:.1f}%"
    assert number(moved[1]) == pytest.approx(verification.run.transfers.sum() / 9, abs=0.05)
    parts = ("Weights (fp16)", "Metadata of the pattern", "Biases")
    assert sum(8 * number(found[part][0][0]) for part in parts) == stored_bits(verification.network).image
    assert "A tile" in page
    assert "http" not in page


def test_mismatches_stand_out(verification: Verification, tmp_path: Path) -> None:
    wrong = dataclasses.replace(verification, mismatches=3)
    write_report(tmp_path / "bad.html", title="", verification=wrong, accuracy=None, facts={})
    page = (tmp_path / "bad.html").read_text()
    assert 'class="tile bad"' in page
    assert "Accuracy" not in page
