"""`zeroskip compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.compile import UNLABELLED_IMAGES, CompileSettings, compile
from zeroskip.commands import options
from zeroskip.commands.console import Kept, show, working
from zeroskip.commands.core_options import CoreOptions, with_core_options
from zeroskip.model.cores import DEFAULT


@with_core_options("CompileOptions")
def compile_command(
    network: options.Network,
    data: options.Samples,
    output: Annotated[Path, typer.Option(help="File of the compiled network to write (.zs).")],
    cores: CoreOptions,
    core: options.CoreName = DEFAULT,
    weights: options.Weights = None,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of dense training before pruning.")] = 0,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of dense training at the start; it falls to zero along half a cosine.")
    ] = CompileSettings.learning_rate,
    limit: Annotated[
        int,
        typer.Option(
            min=1,
            help="Samples of the test split, taken by chance, that the golden model runs at most; without labels at "
            f"most {UNLABELLED_IMAGES}.",
        ),
    ] = CompileSettings.limit,
    checkpoint: options.Checkpoint = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Compile a network for a core, after pruning and training it if the options ask for it.

    Linear, Conv2d, ReLU, max and average pooling, Flatten, Dropout, BatchNorm, and additions and concatenations of
    branches are understood. The options of each core are under its name. Training that was cut short continues from its
    checkpoint.
    """
    cores.require_for(core, f"--core {core}")
    checkpoint = checkpoint or Path(f"{output}.ckpt")
    with working(Kept("epochs", checkpoint, "run the same command again to continue")) as progress:
        result = compile(
            network,
            data,
            weights=weights,
            settings=CompileSettings(
                core=core,
                own=cores.of(core).settings(),
                epochs=epochs,
                learning_rate=learning_rate,
                limit=limit,
            ),
            output=output,
            checkpoint=checkpoint,
            seed=seed,
            progress=progress,
        )
    show(result.summary(), result.rows(), title=f"{network}, compiled", as_json=as_json)
