"""The EIE array under cocotb: every output bit against the golden model, every cycle against the cycle model."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_inputs, random_network, small_conv_network
from support.tile_networks import averaging

from zeroskip.cosim.eie.design import array_design, player_design
from zeroskip.cosim.eie.driver import EieRun
from zeroskip.cosim.eie.program import network_program, stage_program
from zeroskip.cosim.player import Player
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.cosim.verify import verify
from zeroskip.model.eie import bundle, golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.lay_out import relaid
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold

SIMULATORS = [
    Simulator.VERILATOR,
    pytest.param(
        Simulator.ICARUS,
        marks=pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog"),
    ),
]

DENSITIES = (0.5, 0.0, 0.05, 1.0)


def check(
    network: EieNetwork,
    inputs: np.ndarray,
    simulator: Simulator = Simulator.VERILATOR,
    load: LoadName = "direct",
) -> EieRun:
    verification = verify(network, inputs, simulator=simulator, load=load, seed=int(inputs.sum()) % 1000)
    assert verification.mismatches == 0
    assert verification.cycle_model_equal
    run: EieRun = verification.run
    return run


# Each geometry is a build of a few seconds: together they cover every parameter at its ends.
GEOMETRIES = {
    "paper": EieGeometry(pes=4),
    "one PE, narrow index, queue of one": EieGeometry(pes=1, index_bits=2, queue_depth=1),
    "wide index, queue of two, single entries": EieGeometry(pes=2, index_bits=8, queue_depth=2, entries_per_word=1),
    "16-bit datapath of the paper": EieGeometry(pes=8, accumulator_bits=16, product_shift=8, queue_depth=3),
    "narrow accumulator, long words": EieGeometry(pes=4, accumulator_bits=20, entries_per_word=16, index_bits=3),
    "deep queue, wide codes": EieGeometry(pes=2, queue_depth=64, code_bits=6, accumulator_bits=48, index_bits=5),
}


@pytest.mark.parametrize("load", ["ports", "direct"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometries(name: str, load: LoadName) -> None:
    rng = np.random.default_rng(7)
    network = random_network(rng, GEOMETRIES[name], (150, 70, 33, 5), 0.15)
    check(network, random_inputs(rng, 12, 150, DENSITIES), load=load)


@pytest.mark.parametrize("load", ["ports", "direct"])
def test_64_pes(load: LoadName) -> None:
    rng = np.random.default_rng(8)
    network = random_network(rng, EieGeometry(pes=64), (300, 130, 10), 0.2)
    check(network, random_inputs(rng, 8, 300, DENSITIES), load=load)


# The corners share one geometry, and so one build.
CORNERS = {
    "no entry at all": ((80, 40, 10), 0.0, True),
    "no entry and no bias": ((80, 40, 10), 0.0, False),
    "a single row": ((80, 1), 0.5, True),
    "a single column": ((1, 80), 0.5, False),
    "a single weight": ((1, 1, 1), 1.0, False),
    "dense": ((64, 128), 1.0, True),
    "one more than a window": ((65, 129, 65), 0.1, True),
    "hardly anything": ((300, 200, 10), 0.005, False),
}


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name: str) -> None:
    sizes, density, bias = CORNERS[name]
    rng = np.random.default_rng(9)
    network = random_network(rng, EieGeometry(pes=4), sizes, density, bias=bias)
    room = dataclasses.replace(network.geometry, entry_words=1024, pointers=1024, activation_rows=128, layers=4)
    check(dataclasses.replace(network, geometry=room), random_inputs(rng, 8, sizes[0], DENSITIES))


def test_saturating_sums_and_outputs() -> None:
    rng = np.random.default_rng(10)
    geometry = GEOMETRIES["narrow accumulator, long words"]
    network = random_network(rng, geometry, (150, 70, 33, 5), 0.15, shift=2, magnitude=32767)
    inputs = random_inputs(rng, 8, 150, DENSITIES, magnitude=32767)
    layers = golden.run(network, inputs)
    assert sum(layer.saturated_sums.sum() for layer in layers) > 400
    assert sum(layer.saturated_outputs.sum() for layer in layers) > 100
    check(network, inputs)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_ports_that_pause(simulator: Simulator, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    network = random_network(rng, EieGeometry(pes=4), (70, 40, 9), 0.2)
    bundle.save(network, tmp_path / "network.zs")
    np.save(tmp_path / "inputs.npy", random_inputs(rng, 3, 70, DENSITIES))
    array_design(network.geometry).build(simulator).run(
        bench="zeroskip.cosim.eie.ports",
        folder=tmp_path,
        plusargs={"network": tmp_path / "network.zs", "inputs": tmp_path / "inputs.npy"},
        seed=11,
    )


def test_a_build_outlives_the_environment_that_made_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    network = random_network(rng, EieGeometry(pes=4), (20, 9), 0.2)
    bundle.save(network, tmp_path / "network.zs")
    np.save(tmp_path / "inputs.npy", random_inputs(rng, 1, 20, DENSITIES))
    made = array_design(network.geometry).build(Simulator.VERILATOR)
    moved = dataclasses.replace(made, folder=Path(shutil.copytree(made.folder, tmp_path / "build")))
    program = moved.folder / made.top
    there = program.read_bytes()
    assert b"/cocotb/libs\0" in there
    program.write_bytes(there.replace(b"/cocotb/libs\0", b"/deleted/dir\0"))
    files = {"network": tmp_path / "network.zs", "inputs": tmp_path / "inputs.npy"}
    moved.run(bench="zeroskip.cosim.eie.ports", folder=tmp_path, plusargs=files)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_player(simulator: Simulator) -> None:
    """What the player records beside the outputs adds up."""
    rng = np.random.default_rng(12)
    network = random_network(rng, EieGeometry(pes=4), (70, 40, 9), 0.2)
    inputs = random_inputs(rng, 5, 70, DENSITIES)
    run = check(network, inputs, simulator)

    weights = [network.columns(index) for index in range(2)]
    busy = np.zeros(4, np.int64)
    for layer, columns in zip(golden.run(network, inputs), weights, strict=True):
        sent = np.column_stack((layer.inputs != 0, np.ones(len(inputs), bool))).sum(axis=0)
        for pe in range(4):
            part = slice(columns.starts[pe], columns.starts[pe + 1])
            column = np.repeat(np.arange(columns.columns), np.diff(columns.pointers[pe]))
            busy[pe] += sent[column[columns.codes[part] != 0]].sum()
    assert run.activity[:, 0].tolist() == busy.tolist()
    assert run.activity.sum(axis=1).tolist() == [run.cycles.by_layer.sum()] * 4
    assert run.queue_levels.shape == (run.cycles.by_layer[0].sum(), 4)
    assert run.queue_levels.max() <= network.geometry.queue_places
    assert np.bincount(run.layer_trace).tolist() == run.cycles.by_layer[0].tolist()


def test_contents_before_loading_do_not_matter() -> None:
    rng = np.random.default_rng(13)
    network = random_network(rng, EieGeometry(pes=4), (70, 40, 9), 0.2)
    inputs = random_inputs(rng, 2, 70, DENSITIES)
    runs = [verify(network, inputs, seed=seed) for seed in (1, 2)]
    assert np.array_equal(runs[0].raw, runs[1].raw)
    assert np.array_equal(runs[0].run.cycles.by_layer, runs[1].run.cycles.by_layer)


def test_convolutions() -> None:
    rng = np.random.default_rng(14)
    network = small_conv_network(rng, EieGeometry(pes=4))
    inputs = random_inputs(rng, 4, network.inputs, DENSITIES)
    run = check(network, inputs)
    assert np.array_equal(run.values, golden.outputs(network, inputs))
    assert [len(outputs) for outputs in run.stage_outputs] == [4 * 40, 4 * 9, 4]
    assert run.activity.sum(axis=1).tolist() == [run.cycles.by_layer.sum()] * 4
    assert (run.cycles.totals - run.cycles.by_layer.sum(axis=1)).tolist() == [40 + 9 + 1] * 4
    assert np.unique(run.layer_trace).tolist() == [0, 1, 2, 3]


def test_positions_together() -> None:
    """Tiles of positions on the RTL, against the golden model of one position after the other: 5 x 8 of them in tiles
    of 2 x 4 or 4 x 2 where 5 allows it, here 1 x 8, and 3 x 3 in one."""
    rng = np.random.default_rng(14)
    alone = small_conv_network(rng, EieGeometry(pes=4))
    inputs = random_inputs(rng, 4, alone.inputs, DENSITIES)
    network = relaid(alone, 4, positions=9)
    assert network.together == [8, 9, 1, 1]
    run = check(network, inputs)
    assert np.array_equal(run.values, golden.outputs(alone, inputs))
    assert [outputs.shape for outputs in run.stage_outputs] == [(4 * 5, 8 * 6), (4, 9 * 7), (4, 5)]
    assert (run.cycles.totals - run.cycles.by_layer.sum(axis=1)).tolist() == [5 + 1 + 1] * 4


def test_average_pooling() -> None:
    inputs = np.random.default_rng(16).normal(size=(3, 1, 8, 8)).astype(np.float32)
    network = compile_network(share_layers(fold(averaging())), inputs, EieGeometry(pes=4), fit=MEMORIES)
    run = check(network, quantise_inputs(network, inputs)[0])
    assert [len(outputs) for outputs in run.stage_outputs] == [3 * starts for starts in (4, 1, 1, 1, 1, 1, 1)]


def test_stages_take_turns_in_one_loaded_network() -> None:
    """As hardware runs it: the weights are loaded once, then image by image all stages."""
    rng = np.random.default_rng(15)
    network = small_conv_network(rng, EieGeometry(pes=4))
    layers = golden.run(network, random_inputs(rng, 3, network.inputs, DENSITIES))
    program, expected = [network_program(network)], []
    for image in range(3):
        for stage in network.stages:
            if stage.layers:
                part = slice(image * stage.starts, (image + 1) * stage.starts)
                program += stage_program(network, stage, layers[stage.layers[0]].inputs[part])
                expected += layers[stage.layers[-1]].outputs[part].tolist()
    with Player(player_design(network.geometry).build(Simulator.VERILATOR), seed=15) as player:
        lines = player.play(program).decode().splitlines()
    assert [list(map(int, line.split()[1:])) for line in lines if line[0] == "R"] == expected
