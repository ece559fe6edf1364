"""The mapping unit under Verilator: maps of whole layers against dictionaries, all cycles against the cycle model."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from support.point_clouds import cube, distinct_points, map_by_hand

from zeroskip.cosim.mapping import play
from zeroskip.cosim.mapping.play import LayerRun, run_layer, run_layer_with_pauses
from zeroskip.cosim.simulator import Simulator, SimulatorError
from zeroskip.model.mapping import cycles
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.layer import plan_layer

GEOMETRIES = {
    "1": MapperGeometry(width=1, dims=1, coordinate_bits=8, reach=4, index_bits=9, words=600, offsets=8),
    "2": MapperGeometry(width=2, dims=2, coordinate_bits=6, reach=4, index_bits=9, words=512, offsets=30),
    "4": MapperGeometry(
        width=4, dims=4, coordinate_bits=7, batch_bits=3, reach=2, index_bits=9, words=200, offsets=100
    ),
    "8": MapperGeometry(width=8),
}
RECORDED = MapperGeometry(width=1, words=256, offsets=27)
"""As in test_trace.py: the simulator that records is built once."""


def check(run: LayerRun, inputs: Any, outputs: Any, offsets: Any) -> None:
    """Outputs are in the order of their rows."""
    assert run.mismatches == 0
    assert run.cycle_model_equal
    assert run.equal
    assert run.outputs[np.argsort(run.output_rows)].tolist() == outputs.tolist()
    assert run.triples.tolist() == map_by_hand(outputs, inputs, offsets)
    counts = [len(inputs), *([len(inputs) if len(run.sort_cycles) == 2 and len(outputs) != len(inputs) else 0])]
    assert run.sort_cycles[0] == cycles.sort_cycles(run.plan.geometry, counts[0])
    assert run.map_cycles == cycles.map_cycles(run.plan.geometry, len(outputs), len(inputs), len(offsets))


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("seed", range(2))
def test_layers_that_keep_their_points(name: str, seed: int) -> None:
    geometry = GEOMETRIES[name]
    cloud = distinct_points(geometry, 170, seed=seed)
    offsets = cube(3, geometry.dims)
    check(run_layer(cloud, offsets, geometry, seed=seed), cloud, cloud, offsets)


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("sizes", [(0, 0), (0, 20), (20, 0), (1, 3), (130, 90)])
def test_layers_with_given_outputs(name: str, sizes: tuple[int, int]) -> None:
    geometry = GEOMETRIES[name]
    inputs, outputs = (distinct_points(geometry, size, seed=i, spread=9) for i, size in enumerate(sizes))
    offsets = cube(3, geometry.dims)[::2]
    run = run_layer(inputs, offsets, geometry, outputs=outputs, seed=7)
    check(run, inputs, outputs, offsets)
    assert run.sort_cycles[1] == cycles.sort_cycles(geometry, len(outputs))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_strided_layers(name: str) -> None:
    geometry = GEOMETRIES[name]
    cloud = distinct_points(geometry, 150, seed=3, spread=12)
    strides = [2, 4, 1, 2][: geometry.dims]
    down = cloud.copy()
    down[:, 1:] = np.floor_divide(cloud[:, 1:], strides) * strides
    outputs = np.unique(down, axis=0)
    offsets = cube(3, geometry.dims)
    run = run_layer(cloud, offsets, geometry, strides=strides)
    check(run, cloud, outputs, offsets)
    assert run.sort_cycles[1] == cycles.sort_cycles(geometry, len(cloud))


@pytest.mark.slow
@pytest.mark.parametrize("width", [16, 32, 64])
def test_wide_units(width: int) -> None:
    """Building them takes minutes."""
    geometry = MapperGeometry(width=width, dims=2, coordinate_bits=9, batch_bits=2, index_bits=12, words=256)
    cloud = distinct_points(geometry, 900, seed=width, spread=20)
    offsets = cube(3, 2)
    check(run_layer(cloud, offsets, geometry), cloud, cloud, offsets)
    down = np.unique(np.column_stack([cloud[:, 0], cloud[:, 1:] // 2 * 2]), axis=0)
    check(run_layer(cloud, offsets, geometry, strides=(2, 2)), cloud, down, offsets)
    plan = plan_layer(cloud, offsets, geometry)
    assert run_layer_with_pauses(plan, pause=0.4).tolist() == map_by_hand(cloud, cloud, offsets)


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("pause", [0.2, 0.9])
def test_triples_that_wait(name: str, pause: float) -> None:
    geometry = GEOMETRIES[name]
    cloud = distinct_points(geometry, 120, seed=5)
    offsets = cube(3, geometry.dims)
    plan = plan_layer(cloud, offsets, geometry)
    assert run_layer_with_pauses(plan, pause=pause, seed=5).tolist() == map_by_hand(cloud, cloud, offsets)


def test_a_map_in_several_jobs() -> None:
    """The unit counts the offsets of each job from 0 on."""
    geometry = GEOMETRIES["2"]
    cloud = distinct_points(geometry, 120, seed=8)
    plan = plan_layer(cloud, cube(3, 2), geometry, most_triples=4 * len(cloud))
    assert [len(part) for part in plan.maps] == [4, 4, 1]
    assert run_layer_with_pauses(plan, pause=0.2).tolist() == map_by_hand(cloud, cloud, cube(3, 2))


def test_nothing_hangs_on_what_memories_hold_at_first() -> None:
    geometry = GEOMETRIES["2"]
    cloud = distinct_points(geometry, 99, seed=6)
    runs = [run_layer(cloud, cube(3, 2), geometry, strides=(2, 2), seed=seed) for seed in range(3)]
    assert all(run.equal for run in runs)
    assert len({run.cycles for run in runs}) == 1


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog")
def test_icarus_agrees() -> None:
    geometry = GEOMETRIES["2"]
    cloud = distinct_points(geometry, 60, seed=2)
    check(run_layer(cloud, cube(3, 2), geometry, simulator=Simulator.ICARUS), cloud, cloud, cube(3, 2))


def test_a_wrong_triple_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """And the job is recorded."""
    geometry = RECORDED
    cloud = distinct_points(geometry, 30, seed=2)
    right = play.read_triples

    def wrong(*arguments: Any) -> Any:
        triples = right(*arguments)
        triples[-1, 2] ^= 1
        return triples

    monkeypatch.setattr(play, "read_triples", wrong)
    run = run_layer(cloud, cube(3, 3)[12:15], geometry, waveform=tmp_path / "map.vcd")
    assert run.mismatches == 1
    assert not run.equal
    assert run.waveform == tmp_path / "map.vcd"
    assert (tmp_path / "map.vcd").stat().st_size > 0


def test_a_job_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    geometry = RECORDED
    cloud = distinct_points(geometry, 30, seed=2)
    right = play.most_cycles
    monkeypatch.setattr(play, "most_cycles", lambda expected: right(expected) * [1, 0] + [0, 9])
    with pytest.raises(SimulatorError, match=r"job 1 of 2 was not done after 10 cycles; the cycle model expected \d+"):
        run_layer(cloud, cube(3, 3)[12:15], geometry, waveform=tmp_path / "map.vcd")
    assert (tmp_path / "map.vcd").stat().st_size > 0
