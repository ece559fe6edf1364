"""Options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]

Pes = Annotated[int, typer.Option(help="Processing elements, a power of two.")]
QueueDepth = Annotated[
    int, typer.Option("--queue-depth", "--depth", help="Columns that wait in front of a PE, 1 to 256.")
]
IndexBits = Annotated[int, typer.Option(help="Width of an entry's count of zeros, 2 to 8.")]
WordBits = Annotated[int, typer.Option(help="Width of a memory word, a multiple of an entry's.")]
EntriesPerWord = Annotated[int, typer.Option(help="Entries in a memory word, a power of two.")]
AccumulatorBits = Annotated[int, typer.Option(help="Width of the accumulators, 16 to 48.")]
ProductShift = Annotated[int, typer.Option(help="Bits dropped from each product, 0 to 31.")]
EntryWords = Annotated[
    int | None, typer.Option(help="Words of the sparse-matrix memory of a PE. [default: as many as needed]")
]
Pointers = Annotated[int | None, typer.Option(help="Column pointers of a PE. [default: as many as needed]")]
ActivationRows = Annotated[
    int | None, typer.Option(help="Rows of an activation file of a PE. [default: as many as needed]")
]
Layers = Annotated[int | None, typer.Option(help="Rows of the layer table. [default: as many as needed]")]
Even = Annotated[bool, typer.Option(help="Deal rows out so that the PEs have the same to do; or in turn.")]

TileRows = Annotated[int, typer.Option("--m", help="Rows of the N:M tile, 1 to 64.")]
TileColumns = Annotated[int, typer.Option("--n", help="Columns of the N:M tile, 1 to 64.")]
