"""The trace of the array: what it counts is what the models and the player count."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.networks import random_inputs, random_network
from support.traces import cycles_of, events_of, of_track

from zeroskip.cosim.eie.record import ACTIVITIES
from zeroskip.cosim.eie.trace import EieDecoder
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import Verification, verify
from zeroskip.cosim.waves.decoder import write_trace
from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry

GEOMETRIES = {
    "4 PEs, short queues": EieGeometry(pes=4, index_bits=2, queue_depth=1),
    "16 PEs behind hops": EieGeometry(pes=16, index_bits=2, queue_depth=1, entries_per_word=2),
}
SIMULATORS = [
    Simulator.VERILATOR,
    pytest.param(
        Simulator.ICARUS,
        marks=pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog"),
    ),
]


def traced(
    geometry: EieGeometry, folder: Path, simulator: Simulator = Simulator.VERILATOR
) -> tuple[EieNetwork, np.ndarray, Verification, list[dict[str, Any]]]:
    """Three images of a random network, one of them dense, and their trace."""
    rng = np.random.default_rng(23)
    network = random_network(rng, geometry, (150, 40 * geometry.pes, 20), 0.1)
    inputs = random_inputs(rng, 3, 150, (0.3, 1.0, 0.05))
    recording = Recording(file=folder / "run.vcd", format="vcd")
    verification = verify(network, inputs, recording=recording, simulator=simulator)
    write_trace(folder / "run.json", folder / "run.vcd", EieDecoder(network.geometry), network="random")
    return network, inputs, verification, events_of(folder / "run.json")


def counted(events: list[dict[str, Any]], kind: str) -> Counter[int]:
    """How many events of a category each layer has."""
    return Counter(event["args"]["layer"] for event in events if event.get("cat") == kind)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_counts_are_those_of_the_models(tmp_path: Path, simulator: Simulator) -> None:
    check_counts(*traced(GEOMETRIES["4 PEs, short queues"], tmp_path, simulator))


def test_counts_behind_hops(tmp_path: Path) -> None:
    check_counts(*traced(GEOMETRIES["16 PEs behind hops"], tmp_path))


def check_counts(
    network: EieNetwork, inputs: np.ndarray, verification: Verification, events: list[dict[str, Any]]
) -> None:
    """Of each layer: the broadcasts; and of each PE the columns, the weights and the padding in them by the compiled
    network, and the cycles of each activity by the player."""
    layers = golden.run(network, inputs)
    sent = [
        np.flatnonzero(np.append(row != 0, True)) for layer in layers for row in layer.inputs
    ]  # with the column of the bias
    by_layer = [sent[index * len(inputs) : (index + 1) * len(inputs)] for index in range(len(layers))]
    broadcasts = of_track(events, "Control unit", "broadcasts")
    assert counted(broadcasts, "broadcast") == {index: sum(map(len, columns)) for index, columns in enumerate(by_layer)}
    for index, columns in enumerate(by_layer):
        found = [event["args"]["column"] for event in broadcasts if event["args"]["layer"] == index]
        assert found == np.concatenate(columns).tolist()

    stalls = 0
    for pe in range(network.geometry.pes):
        track = of_track(events, "PEs", f"PE {pe}")
        expected: dict[str, Counter[int]] = {"push": Counter(), "entry": Counter(), "skipped": Counter()}
        for index, columns in enumerate(by_layer):
            for column in np.concatenate(columns) + network.pointer_bases[index]:
                weights = network.is_weight[pe, network.pointers[pe, column] : network.pointers[pe, column + 1]]
                expected["push"][index] += len(weights) > 0
                expected["entry"][index] += int(weights.sum())
                expected["skipped"][index] += int((~weights).sum())
        assert counted(track, "push") == counted(track, "pop") == expected["push"]
        assert counted(track, "entry") == expected["entry"]
        skipped: Counter[int] = Counter()
        for event in track:
            if event["cat"] == "skipped":
                skipped[event["args"]["layer"]] += event["args"]["entries"]
        assert skipped == +expected["skipped"]
        cycles = [cycles_of(track, kind) for kind in ("entry", *ACTIVITIES[1:])]
        assert cycles == verification.run.activity[pe].tolist()
        stalls += cycles[ACTIVITIES.index("stalled")]
    assert stalls > 0
    assert sum(counted(events, "skipped").values()) > 0


def test_cycles_are_those_of_the_run(tmp_path: Path) -> None:
    """Starts and layers last as long as the run counted; in a PE, the slices of a layer fill it, without overlaps."""
    network, _, verification, events = traced(GEOMETRIES["4 PEs, short queues"], tmp_path)
    starts = of_track(events, "Control unit", "starts")
    layers = of_track(events, "Control unit", "layers")
    assert [event["dur"] for event in starts] == verification.cycles.tolist()
    assert starts[0]["ts"] == 0
    durations = np.reshape([event["dur"] for event in layers], (3, -1))
    assert np.array_equal(durations, verification.run.cycles.by_layer)
    running = [cycle for event in layers for cycle in range(event["ts"], event["ts"] + event["dur"])]
    for pe in range(network.geometry.pes):
        slices = [event for event in of_track(events, "PEs", f"PE {pe}") if event["ph"] == "X"]
        covered = [cycle for event in slices for cycle in range(event["ts"], event["ts"] + event["dur"])]
        assert sorted(covered) == running


@pytest.mark.parametrize("name", GEOMETRIES)
def test_each_stall_has_its_cause(tmp_path: Path, name: str) -> None:
    """The queues that a stall names were full when the control unit looked, and no other queue was."""
    network, _, _, events = traced(GEOMETRIES[name], tmp_path)
    geometry = network.geometry
    changes = of_track(events, "Columns in the queues")
    last = max(event["ts"] for event in changes) + 1
    levels = np.zeros((geometry.pes, last + 1), int)
    for event in changes:
        levels[int(event["name"].removeprefix("PE ")), event["ts"] :] = event["args"]["value"]
    blocked = of_track(events, "Control unit", "blocked")
    assert blocked
    for event in blocked:
        for cycle in range(event["ts"], event["ts"] + event["dur"]):
            full = np.flatnonzero(levels[:, cycle - 1 - geometry.hops] >= geometry.queue_full)
            assert event["args"]["full"] == full.tolist() != []
    assert {event["name"] for event in events if event.get("cat") == "stalled"} <= {
        f"stalled, {event['name']}" for event in blocked
    }
