"""Options of the N:M tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zeroskip.api.mma.compile import MmaCompileSettings, PruningMethod

if TYPE_CHECKING:
    from zeroskip.model.mma.geometry import TileGeometry

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
        PruningMethod,
        typer.Option(
            help="Prune the trained weights and train again; train sparse from the start; or prune at once, without "
            "training, by Wanda or SparseGPT."
        ),
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


@dataclass(frozen=True, kw_only=True)
class EmitOptions:
    """The fields of zeroskip.model.mma.geometry.mode_geometry."""

    m: TileRows = 4
    n: TileColumns = 4
    dtype: Annotated[
        Literal["fp16", "bf16", "tf32", "e4m3", "e5m2", "int8", "int4"],
        typer.Option(help="Number format of A and B. The pattern is NVIDIA's for the format: 2:4, and 1:2 for tf32."),
    ] = "fp16"
    out: Annotated[
        Literal["fp32", "fp16", "int32", "int32_sat"] | None,
        typer.Option(help="Number format of C and D.", show_default="fp32, or int32 for integers"),
    ] = None
    generation: Generation = "A100"
    check: Annotated[
        Literal["strict", "relaxed"], typer.Option(help="Legal metadata: increasing indices, or distinct ones.")
    ] = "strict"
    a_words: Annotated[int, typer.Option(help="Words of each bank of A.")] = 16384
    b_words: Annotated[int, typer.Option(help="Words of each bank of B.")] = 4096
    d_words: Annotated[int, typer.Option(help="Words of each bank of C and D.")] = 4096

    def geometry(self) -> TileGeometry:
        """The tile of these sizes. Raises ValueError for one that cannot be built."""
        from zeroskip.model.mma.geometry import mode_geometry

        out = self.out or ("int32" if self.dtype in ("int8", "int4") else "fp32")
        return mode_geometry(**{**vars(self), "out": out})
