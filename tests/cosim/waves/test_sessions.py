"""Sessions beside a waveform: all that they name is in it, with the values that the run had."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import waveforms
from support.networks import random_inputs, random_network
from support.point_clouds import cube, distinct_points
from support.tile_networks import mlp, pruned

from zeroskip.cosim.build import WaveFormat
from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.mapping.record import record_layer
from zeroskip.cosim.records import Records
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import Verification, verify
from zeroskip.cosim.waves.shown import enumerations
from zeroskip.cosim.waves.write import write_sessions
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.layer import plan_layer
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern

FST = pytest.param(
    "fst",
    Simulator.VERILATOR,
    marks=pytest.mark.skipif(not waveforms.can_write_fst(), reason="optional: apt-get install liblz4-dev zlib1g-dev"),
)
ICARUS = pytest.param(
    "fst",
    Simulator.ICARUS,
    marks=pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog"),
)
EIE = {
    "4 PEs": EieGeometry(pes=4),
    "16 PEs behind hops, small words": EieGeometry(pes=16, entries_per_word=1, queue_depth=1, accumulator_bits=24),
    "1 PE": EieGeometry(pes=1),
}
TILES = {
    "2:4 of fp16": TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16),
    "dense fp16": TileGeometry(m=1, n=3, keep=4, group=4, a_words=64, b_words=64, d_words=64),
}


def record_eie(name: str, folder: Path, form: WaveFormat, simulator: Simulator) -> tuple[Path, Verification]:
    rng = np.random.default_rng(11)
    network = random_network(rng, EIE[name], (70, 40, 9), 0.2)
    return _record(network, random_inputs(rng, 2, 70, (0.5,)), folder, form, simulator)


def record_tile(name: str, folder: Path, form: WaveFormat, simulator: Simulator) -> tuple[Path, Verification]:
    geometry = TILES[name]
    model = mlp(7) if geometry.pattern.dense else pruned(mlp(7), Pattern())
    network = compile_network(model, (30,), geometry)
    inputs, _ = load_driver("mma").encode(network, np.ones((1, 30), np.float32), saturate=True)
    return _record(network, inputs, folder, form, simulator)


def _record(
    network: Any, inputs: np.ndarray, folder: Path, form: WaveFormat, simulator: Simulator
) -> tuple[Path, Verification]:
    file = folder / f"run.{form}"
    verification = verify(network, inputs, recording=Recording(file=file, format=form), simulator=simulator)
    assert verification.equal
    assert len(write_sessions(file, load_driver(network.core).shown(network.geometry))) == 2
    return file, verification


def named_by_gtkwave(session: Path) -> dict[str, int]:
    """The signals of a session and their bits, as its ranges give them."""
    found = re.findall(r"^\+\{[^}]*\} (\S+?)(?:\[(\d+):0\])?$", session.read_text(), re.M)
    return {name: int(high or 0) + 1 for name, high in found}


def named_by_surfer(session: Path) -> list[str]:
    return re.findall(r"^variable_add (\S+)$", session.read_text(), re.M)


@pytest.mark.parametrize(("form", "simulator"), [("vcd", Simulator.VERILATOR), FST, ICARUS])
def test_all_that_the_sessions_of_the_array_name_is_in_the_waveform(
    tmp_path: Path, form: WaveFormat, simulator: Simulator
) -> None:
    file, _ = record_eie("4 PEs", tmp_path, form, simulator)
    check(file)


@pytest.mark.parametrize("name", list(EIE)[1:])
def test_arrays_of_other_sizes(tmp_path: Path, name: str) -> None:
    check(record_eie(name, tmp_path, "vcd", Simulator.VERILATOR)[0])


@pytest.mark.parametrize("name", TILES)
def test_all_that_the_sessions_of_the_tile_name_is_in_the_waveform(tmp_path: Path, name: str) -> None:
    check(record_tile(name, tmp_path, "vcd", Simulator.VERILATOR)[0])


@pytest.mark.parametrize(
    "geometry", [MapperGeometry(width=1, words=256, offsets=27), MapperGeometry(width=4)], ids=["1 key", "4 keys"]
)
def test_all_that_the_sessions_of_the_mapping_unit_name_is_in_the_waveform(
    tmp_path: Path, geometry: MapperGeometry
) -> None:
    """The geometries of tests/cosim/mapping/test_trace.py: their simulators are built once."""
    plan = plan_layer(distinct_points(geometry, 50, seed=3), cube(3, 3)[9:18], geometry)
    records = Records(waves=tmp_path / "run.vcd")
    assert len(record_layer(plan, records, name="layer", viewer=None, simulator=Simulator.VERILATOR, seed=0)) == 2
    check(tmp_path / "run.vcd")


def check(file: Path) -> None:
    named = named_by_gtkwave(file.with_suffix(".gtkw"))
    assert len(named) > 20
    bits = waveforms.read(file).bits
    assert {name: bits.get(name) for name in named} == named
    assert named_by_surfer(file.with_suffix(".sucl")) == list(named)


def test_values_of_the_session_are_those_of_the_run(tmp_path: Path) -> None:
    """Each layer ends where the run counted it to, and the states of the player have their names."""
    file, verification = record_eie("4 PEs", tmp_path, "vcd", Simulator.VERILATOR)
    control = "player.array.control"
    names = ["player.array.start", "player.array.done", f"{control}.ending", "player.state", "player.RUNNING"]
    shown = named_by_gtkwave(file.with_suffix(".gtkw"))
    assert set(names[:4]) <= set(shown)
    waveform = waveforms.read(file, names)
    starts, dones, ends = (waveform.rises(name) for name in names[:3])
    by_layer = verification.run.cycles.by_layer
    assert [done - start for start, done in zip(starts, dones, strict=True)] == verification.cycles.tolist()
    layers = by_layer.shape[1]
    for image, start in enumerate(starts):
        lasts = ends[image * layers : (image + 1) * layers]
        assert np.diff([start, *lasts]).tolist() == by_layer[image].tolist()
    (_, running), *_ = waveform.changes["player.RUNNING"]
    state = next(
        found for found in enumerations(load_driver("eie").shown(EIE["4 PEs"])) if found.title == "player state"
    )
    assert state.names[int(running, 2)] == "running"
    assert f"{int(running, 2):x} running\n" in (tmp_path / "run.names/player_state.txt").read_text()


def test_a_session_that_the_user_saved_stays(tmp_path: Path) -> None:
    shown = load_driver("eie").shown(EIE["4 PEs"])
    gtkwave, surfer = write_sessions(tmp_path / "run.fst", shown)
    first = gtkwave.read_text()
    gtkwave.write_text(f"[*]\n[*] GTKWave Analyzer v3.3.118 (w)1999-2023 BSI\n{first}")
    assert write_sessions(tmp_path / "run.fst", shown) == (surfer,)
    assert "GTKWave Analyzer" in gtkwave.read_text()


def test_surfer_names_the_items_that_it_added(tmp_path: Path) -> None:
    """A label and a format belong to the item whose number is in front of it, in the letters a to p."""
    _, surfer = write_sessions(tmp_path / "run.fst", load_driver("eie").shown(EIE["4 PEs"]))
    lines = surfer.read_text().splitlines()
    items = [line for line in lines if line.startswith(("variable_add", "divider_add"))]
    looks = lines.index("item_set_format zeroskip activity") - 2
    assert lines[looks + 1] == "item_rename activity"
    focus = lines[looks].removeprefix("item_focus ").rstrip("_")
    place = int("".join(f"{ord(letter) - ord('a'):x}" for letter in focus), 16)
    assert items[place] == "variable_add player.array.pe_0.instance.lookahead.activity"
    mapping = (tmp_path / ".surfer/mappings/activity.txt").read_text()
    assert mapping == "Name = zeroskip activity\nBits = 2\n0 idle\n1 busy\n2 padding\n"
