"""Options of the mapping unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from zeroskip.api.mapping.width import WIDTH
from zeroskip.model.mapping.geometry import MapperGeometry

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


@dataclass(frozen=True, kw_only=True)
class EmitOptions:
    """The fields of zeroskip.model.mapping.geometry.MapperGeometry."""

    width: Width = MapperGeometry.width
    dims: Annotated[int, typer.Option(help="Coordinates of a point, 1 to 4.")] = MapperGeometry.dims
    coordinate_bits: Annotated[int, typer.Option(help="Bits of a coordinate, 4 to 20.")] = (
        MapperGeometry.coordinate_bits
    )
    batch_bits: Annotated[int, typer.Option(help="Bits of the batch number, 1 to 16.")] = MapperGeometry.batch_bits
    reach: Annotated[int, typer.Option(help="Largest component of an offset, either way.")] = MapperGeometry.reach
    point_bits: Annotated[int, typer.Option(help="Bits of the index that names a point in the triples, 1 to 31.")] = (
        MapperGeometry.index_bits
    )
    words: Annotated[int, typer.Option(help="Words of the memory, of as many keys as are merged in a cycle.")] = (
        MapperGeometry.words
    )
    offsets: Annotated[int, typer.Option(help="Offsets of a kernel that the table holds.")] = MapperGeometry.offsets

    def geometry(self) -> MapperGeometry:
        """The unit of these sizes. Raises ValueError for one that cannot be built."""
        sizes = dict(vars(self))
        index_bits = sizes.pop("point_bits")
        return MapperGeometry(**sizes, index_bits=index_bits)
