"""`zeroskip simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.simulate import SimulateSettings, core_of, simulate
from zeroskip.commands import options
from zeroskip.commands.console import show, working
from zeroskip.commands.core_options import CoreOptions, with_core_options
from zeroskip.model.cores import CORES


@with_core_options("SimulateOptions")
def simulate_command(
    cores: CoreOptions,
    network: Annotated[Path, typer.Argument(help="A network from `zeroskip compile`.")],
    data: options.Samples,
    limit: Annotated[int | None, typer.Option(min=1, help="Run only this many samples, from the first.")] = None,
    outputs: Annotated[Path | None, typer.Option(help="NPZ file to write outputs and cycles to.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML report to write.", show_default="NETWORK.html")] = None,
    waves: options.Waves = None,
    from_cycle: options.FromCycle = None,
    cycles: options.Cycles = None,
    trace: options.Trace = None,
    viewer: options.Viewer = None,
    waves_samples: Annotated[
        int, typer.Option(min=1, help="How many samples waveform, trace and viewer show.")
    ] = SimulateSettings.waves_samples,
    simulator: options.Simulator = "verilator",
    load: options.Load = SimulateSettings.load,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the random contents of the memories before they are loaded.")
    ] = 0,
    as_json: options.Json = False,
) -> None:
    """Run a compiled network on the RTL.

    The exit code is 1 unless every output bit equals the golden model and every cycle the cycle model.
    """
    core = core_of(network)
    title = CORES[core].title
    cores.require_for(core, f"{network}, a network for the {title},")
    own = {} if cores.of(core) is None else vars(cores.of(core))
    with working() as progress:
        result = simulate(
            network,
            data,
            settings=SimulateSettings(
                limit=limit, simulator=simulator, load=load, seed=seed, waves_samples=waves_samples, **own
            ),
            outputs=outputs,
            report=report or Path(str(network).removesuffix(".zs") + ".html"),
            waves=waves,
            from_cycle=from_cycle,
            cycles=cycles,
            trace=trace,
            viewer=viewer,
            progress=progress,
        )
    show(
        result.summary(), result.rows(), title=f"{network.name} on the {title}, {result.seconds:.1f} s", as_json=as_json
    )
    if not result.equal:
        raise typer.Exit(1)
