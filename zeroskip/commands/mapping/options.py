"""Options of the mapping unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from zeroskip.api.mapping.width import WIDTH

Width = Annotated[int, typer.Option(help="Keys that the unit merges in a cycle, a power of two from 1 to 64.")]


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The sizes of the unit on a board."""

    width: Annotated[int, typer.Option(help="Keys that the unit merges in a cycle, a power of two.")] = WIDTH


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The sizes of the unit on a simulated board; another board tells its own."""

    width: Annotated[
        int, typer.Option(help="Keys that the unit of a simulated board merges in a cycle, a power of two.")
    ] = WIDTH
