"""The trace of the tile: jobs, steps and results are those of the plan and of the cycle model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.tile_networks import mlp, pruned
from support.traces import cycles_of, events_of, of_track

from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.mma.trace import MmaDecoder
from zeroskip.cosim.session import Recording
from zeroskip.cosim.verify import verify
from zeroskip.cosim.waves.decoder import write_trace
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern


def test_jobs_steps_and_results(tmp_path: Path) -> None:
    """Of each job, the steps and results of its sums; all of its cycles have a slice."""
    geometry = TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16)
    network = compile_network(pruned(mlp(7), Pattern()), (30,), geometry)
    inputs, _ = load_driver("mma").encode(network, np.ones((3, 30), np.float32), saturate=False)
    verification = verify(network, inputs, recording=Recording(file=tmp_path / "run.vcd", format="vcd"))
    write_trace(tmp_path / "run.json", tmp_path / "run.vcd", MmaDecoder(geometry), network="mlp")
    events = events_of(tmp_path / "run.json")
    jobs, steps = of_track(events, "Tile", "jobs"), of_track(events, "Tile", "steps")
    results = of_track(events, "Tile", "results")
    assert cycles_of(jobs, "job") == verification.run.cycles.totals.sum()
    assert len(jobs) > 1
    for job in jobs:
        args = job["args"]
        own = [event for event in steps if event["args"]["job"] == args["job"]]
        assert sum(event["cat"] == "step" for event in own) == args["sums"] * args["steps"]
        assert sum(cycles_of(own, kind) for kind in ("step", "waiting", "draining")) == job["dur"]
        windows = {event["args"]["b"] for event in own if event["cat"] == "step"}
        assert {event["args"]["word"] for event in own if event["cat"] == "read"} == windows
        words = [event["args"]["word"] for event in results if event["args"]["job"] == args["job"]]
        assert words == list(range(args["d_base"], args["d_base"] + args["sums"]))
