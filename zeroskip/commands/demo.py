"""`zeroskip demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.demo import DemoData, DemoNetwork, DemoSettings, demo, load_demo
from zeroskip.commands import options
from zeroskip.commands.console import Kept, show, working
from zeroskip.commands.core_options import CoreOptions, with_core_options
from zeroskip.model.cores import CORES, DEFAULT


@with_core_options("DemoOptions")
def demo_command(
    cores: CoreOptions,
    core: options.CoreName = DEFAULT,
    dataset: Annotated[DemoData, typer.Option(help="Handwritten digits, or Fashion-MNIST.")] = "digits",
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the four IDX files, where they are not installed.")
    ] = None,
    network_name: Annotated[
        DemoNetwork, typer.Option("--network", help="For Fashion-MNIST: fully connected, or with convolutions.")
    ] = "lenet-300-100",
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Test images on the RTL.", show_default="all; 500 for lenet-5"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for network, report and training state.", show_default="runs/DATASET, with the core's name"
        ),
    ] = None,
    simulator: options.Simulator = "verilator",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Train, prune, compile and run a network on the RTL, over the images of the test split.

    For the EIE array single weights are pruned and the others shared; for the N:M tile the network is pruned to 2:4, in
    fp16 as on an A100. The exit code is 1 unless every output bit equals the golden model and every cycle the cycle
    model. Training that was cut short in the same folder continues.
    """
    cores.require_for(core, f"--core {core}")
    own = cores.of(core)
    settings = DemoSettings(
        core=core,
        dataset=dataset,
        folder=folder,
        network=network_name,
        own=None if own is None else load_demo(core).settings_type(**vars(own)),
        limit=limit,
        simulator=simulator,
        seed=seed,
    )
    output = output or settings.folder_name
    kept = Kept("epochs", output / "training.safetensors", "run the same command again to continue")
    with working(kept) as progress:
        result = demo(settings=settings, output=output, progress=progress)
    title = f"{result.title} on the {CORES[core].title}, {result.seconds:.1f} s"
    show(result.summary(), result.rows(), title=title, as_json=as_json)
    if not result.equal:
        raise typer.Exit(1)
