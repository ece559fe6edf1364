"""Options of the N:M tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from zeroskip.api.mma.compile import MmaCompileSettings

TileRows = Annotated[int, typer.Option("--m", help="Rows of the tile, 1 to 64.")]
TileColumns = Annotated[int, typer.Option("--n", help="Columns of the tile, 1 to 64.")]
TileFormat = Annotated[Literal["fp16", "bf16", "tf32"], typer.Option(help="Number format of weights and activations.")]
Generation = Annotated[
    Literal["V100", "A100", "Ada", "H100", "B200"],
    typer.Option(help="GPU generation whose arithmetic the tile reproduces."),
]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The sizes on which a search counts cycles."""

    m: TileRows = 4
    n: TileColumns = 4


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """Compile options of the tile; the fields of zeroskip.api.mma.compile.MmaCompileSettings."""

    pattern: Annotated[
        str, typer.Option(help="N:M pattern, at most N kept weights of every M along the input channels.")
    ] = "2:4"
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Prune to the pattern and train again for as many epochs. Without it, layers run sparse only if their "
            "weights already follow the pattern.",
        ),
    ] = False
    method: Annotated[
        Literal["magnitude", "sr-ste"],
        typer.Option(help="Prune the trained weights and train again, or train sparse from the start."),
    ] = "magnitude"
    permute: Annotated[
        bool,
        typer.Option(help="Reorder channels before pruning by magnitude, so that larger weights are kept."),
    ] = False
    dtype: TileFormat = "fp16"
    generation: Generation = "A100"
    m: TileRows = 4
    n: TileColumns = 4

    def settings(self) -> MmaCompileSettings:
        """The same settings for the API."""
        return MmaCompileSettings(**vars(self))
