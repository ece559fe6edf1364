"""A part of a waveform: the same values as the whole one has in these cycles, in both formats."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import waveforms
from support.networks import random_inputs, random_network
from support.point_clouds import cube, distinct_points
from support.tile_networks import mlp, pruned

from zeroskip.api.records import records_of
from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.mapping.record import record_layer
from zeroskip.cosim.records import Records, Window
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import verify
from zeroskip.cosim.waves import window as windows
from zeroskip.cosim.waves.window import write_window
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.layer import LayerPlan, plan_layer
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern

FST = pytest.param(
    "fst", marks=pytest.mark.skipif(shutil.which("vcd2fst") is None, reason="optional: apt-get install gtkwave")
)


def small_plan() -> LayerPlan:
    """As in tests/cosim/mapping/test_trace.py: the simulator is built once."""
    geometry = MapperGeometry(width=4)
    return plan_layer(distinct_points(geometry, 50, seed=3), cube(3, 3)[9:18], geometry)


def recorded(plan: LayerPlan, records: Records) -> None:
    record_layer(plan, records, name="layer", viewer=None, simulator=Simulator.VERILATOR, seed=0)


def values(changes: list[tuple[int, str]], begin: int, end: int) -> list[tuple[int, int]]:
    """The value at a time, and its changes until another."""
    found: list[tuple[int, int]] = []
    for time, digits in changes:
        value = int(digits, 2)
        if time <= begin:
            found = [(begin, value)]
        elif time < end and value != found[-1][1]:
            found.append((time, value))
    return found


@pytest.mark.parametrize("form", ["vcd", FST])
@pytest.mark.parametrize("window", [Window(first=20, count=30), Window(first=40), Window(count=7)])
def test_every_signal_has_the_values_of_the_whole_run(tmp_path: Path, form: str, window: Window) -> None:
    plan = small_plan()
    recorded(plan, Records(waves=tmp_path / "whole.vcd"))
    recorded(plan, Records(waves=tmp_path / f"part.{form}", window=window))
    names = [*waveforms.read(tmp_path / "whole.vcd").bits]
    whole = waveforms.read(tmp_path / "whole.vcd", names)
    part = waveforms.read(tmp_path / f"part.{form}", names)
    start = next(time for time, value in whole.changes["mapper_player.mapper.start__valid"] if value == "1")
    begin = start + waveforms.CYCLE * window.first
    last = max(time for changes in whole.changes.values() for time, _ in changes)
    end = last + 1 if window.count is None else begin + waveforms.CYCLE * window.count
    assert set(part.bits) == set(names)
    assert len(names) > 100
    for name in names:
        assert values(part.changes[name], begin, end) == values(whole.changes[name], begin, end), name
        assert all(begin <= time < end for time, _ in part.changes[name]), name
    assert (tmp_path / "part.gtkw").exists()


def test_the_others_begin_with_their_first_start(tmp_path: Path) -> None:
    """The array and the tile: cycle 0 is the one that a trace counts from."""
    rng = np.random.default_rng(11)
    network = random_network(rng, EieGeometry(pes=4), (70, 40, 9), 0.2)
    tile = compile_network(pruned(mlp(7), Pattern()), (30,), TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16))
    encoded, _ = load_driver("mma").encode(tile, np.ones((1, 30), np.float32), saturate=True)
    for core, of, inputs, start in (
        ("eie", network, random_inputs(rng, 1, 70, (0.5,)), "player.array.start"),
        ("mma", tile, encoded, "gemm_player.gemm.start__valid"),
    ):
        whole, part = tmp_path / f"{core}.vcd", tmp_path / f"{core}-part.vcd"
        verify(of, inputs, recording=Recording(file=whole, format="vcd"))
        decoder = load_driver(core).decoder(of.geometry)
        write_window(part, "vcd", whole, Window(count=1), decoder.clock, decoder.begins)
        assert waveforms.read(part, [start]).rises(start) == waveforms.read(whole, [start]).rises(start)[:1]


def test_a_window_behind_the_run(tmp_path: Path) -> None:
    """The error names the cycles that there are; nothing is written."""
    message = r"^from_cycle must be below ([\d,]+), the cycles that were recorded from the first start on, not 100,000$"
    plan = small_plan()
    with pytest.raises(ValueError, match=message) as raised:
        recorded(plan, Records(waves=tmp_path / "part.vcd", window=Window(first=100_000)))
    found = re.match(message, str(raised.value))
    assert found is not None
    assert int(found[1].replace(",", "")) > sum(plan.cycles)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"from_cycle": 3}, "from_cycle must be left out without waves, the waveform of which it says a part"),
        ({"waves": "run.vcd", "from_cycle": -1}, "from_cycle must be at least 0, not -1"),
        ({"waves": "run.vcd", "cycles": 0}, "cycles must be at least 1, not 0"),
        ({"waves": "run.fst", "cycles": 5}, "waves must end in .vcd with from_cycle or cycles, as there is no vcd2fst"),
    ],
)
def test_what_is_wrong(given: dict, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(windows.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        records_of(Simulator.VERILATOR, **given)
