"""When sparsity pays: cycles and bits by hand, crossovers by hand, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from zeroskip.api.sparsity.bench import DENSITIES, SparsityBenchSettings, bench_sparsity, crossovers
from zeroskip.api.sparsity.rivals import EieRival, TileRival
from zeroskip.model.network.pattern import DENSE, Pattern

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(("size", "batch"), [(64, 1), (64, 64), (256, 8)])
def test_a_dense_tile_reads_each_weight_once_for_each_of_its_columns(size: int, batch: int) -> None:
    """In int8, and multiplies in every cycle but the 9 around its steps."""
    (point,) = TileRival(pattern=DENSE).points(size, batch, 64)
    assert point.density == 1
    assert point.cycles == size * size * batch / 64 + 9
    columns = {size * size * 8 * -(-batch // n) for n in (1, 2, 4, 8)}
    assert point.bits in columns


def test_a_pattern_takes_its_part_of_the_cycles_and_its_metadata() -> None:
    """2:4 keeps half of the 8-bit values and 2 bits of metadata for each; 1:4 a quarter, with 2 bits each."""
    for pattern, part, bits in ((Pattern(), 2, 10), (Pattern(keep=1, group=4), 4, 10)):
        (point,) = TileRival(pattern=pattern).points(256, 8, 64)
        assert point.density == 1 / part
        assert point.cycles == 256 * 256 * 8 / 64 / part + 9
        kept = 256 * 256 / part
        assert point.bits in {kept * bits * -(-8 // n) for n in (1, 2, 4, 8)}


def test_the_bits_of_the_array_by_hand() -> None:
    """A dense layer of 64 rows on 64 PEs: each column has one entry in each PE, which is one word of 64 bits and two
    pointers that count to 64. Every input is broadcast."""
    rival = EieRival(activations=1.0, densities=(1.0,), seed=0)
    (point,) = rival.points(64, 3, 64)
    assert point.bits == 3 * 64 * 64 * (64 + 2 * 7)
    assert point.cycles > 3 * 64


def test_zero_activations_cost_nothing() -> None:
    """The bits fall with the fraction of activations, on average over the vectors."""
    whole, part = (
        list(EieRival(activations=activations, densities=(0.1, 0.5), seed=0).points(512, 1, 16))
        for activations in (1.0, 0.25)
    )
    for one, other in zip(whole, part, strict=True):
        assert other.bits / one.bits == pytest.approx(0.25, rel=0.1)
        assert other.cycles < one.cycles / 2


def test_crossovers_by_hand() -> None:
    """On straight lines in logarithmic scales: from 10 cycles at 10 % to 1,000 at 100 %, the array meets 100 cycles at
    the square root of 10 %."""

    def row(rival: str, density: float, cycles: float) -> dict[str, Any]:
        return {"size": 64, "batch": 1, "rival": rival, "density": density, "bounded_cycles": cycles}

    rows = [row("a", 0.1, 10), row("a", 1.0, 1000), row("t", 1.0, 100), row("u", 0.5, 5), row("v", 1.0, 2000)]
    found = {one["against"]: one["density"] for one in crossovers(rows, ["a"], ["t", "u", "v"])}
    assert found == {"t": pytest.approx(math.sqrt(0.1)), "u": None, "v": 1.0}


def test_the_memory_bounds_the_cycles() -> None:
    settings = SparsityBenchSettings(sizes=(64,), batches=(1,), multipliers=16, bandwidth=1)
    for row in bench_sparsity(settings=settings).figures["rows"]:
        assert row["bounded_cycles"] == max(row["bits"], row["cycles"]) == row["bits"]


def test_the_command(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same figures twice, a picture of some size, a table for people; and what is refused leaves no picture."""
    monkeypatch.chdir(tmp_path)
    command = ("bench", "sparsity", "--sizes", "64,100", "--batches", "1,2", "--multipliers", 16)
    code, out, err = zs(*command, "--json", "--picture", "when.png")
    assert code == 0, err
    figures = json.loads(out)
    assert len(figures["rows"]) == 2 * 2 * (4 + 2 * len(DENSITIES))
    assert {row["rival"] for row in figures["rows"]} == {
        *("dense tile", "2:4 tile", "1:4 tile", "4:8 tile", "EIE, weights", "EIE, activations too")
    }
    assert min(Image.open("when.png").size) > 300
    assert json.loads(zs(*command, "--json")[1])["rows"] == figures["rows"]
    code, out, _ = zs(*command)
    assert (code, "against" in out) == (0, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sizes", "0"), "sizes must be numbers from 1 to 8,192, not 0"),
        (("--sizes", "64,x"), "sizes must be numbers, separated by commas, not 'x'"),
        (("--multipliers", 12), "multipliers must be a power of two from 8 to 256, not 12"),
        (("--patterns", "dense"), "patterns must be sparse and keep 1, 2, 4 or 8 of a group, not 'dense'"),
        (("--activations", 0), "activations must be above 0 and at most 1, not 0"),
        (("--bandwidth", 0), "bandwidth must be at least 1 bit a cycle, not 0"),
        (("--picture", "weights.pt"), "weights.pt"),
    ],
)
def test_what_is_refused(
    zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, out, err = zs("bench", "sparsity", *options)
    assert (code != 0, out) == (True, "")
    assert message in err
    assert sorted(tmp_path.iterdir()) == before
