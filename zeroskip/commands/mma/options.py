"""Options of the N:M tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

TileRows = Annotated[int, typer.Option("--m", help="Rows of the tile, 1 to 64.")]
TileColumns = Annotated[int, typer.Option("--n", help="Columns of the tile, 1 to 64.")]
TileFormat = Annotated[Literal["fp16", "bf16", "tf32"], typer.Option(help="Number format of weights and activations.")]
Generation = Annotated[
    Literal["V100", "A100", "Ada", "H100"], typer.Option(help="GPU generation whose arithmetic the tile reproduces.")
]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The sizes on which a search counts cycles."""

    m: TileRows = 4
    n: TileColumns = 4
