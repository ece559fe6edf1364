"""Options of the EIE array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from zeroskip.api.eie.compile import PES, EieCompileSettings, Pruning
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.settings import Sharing

Pes = Annotated[int, typer.Option(help="Processing elements (PEs), a power of two.")]
QueueDepth = Annotated[
    int, typer.Option("--queue-depth", "--depth", help="Entries of the activation queue of each PE, 1 to 256.")
]
IndexBits = Annotated[int, typer.Option(help="Bits of the zero count in an entry, 2 to 8.")]
WordBits = Annotated[int, typer.Option(help="Bits of a memory word, a multiple of the bits of an entry.")]
EntriesPerWord = Annotated[int, typer.Option(help="Entries in a memory word, a power of two.")]
AccumulatorBits = Annotated[int, typer.Option(help="Bits of the accumulators, 16 to 48.")]
ProductShift = Annotated[int, typer.Option(help="Low bits dropped from each product, 0 to 31.")]
EntryWords = Annotated[
    int | None, typer.Option(help="Words of the sparse-matrix memory of a PE.", show_default="as many as needed")
]
Pointers = Annotated[int | None, typer.Option(help="Column pointers of a PE.", show_default="as many as needed")]
ActivationRows = Annotated[
    int | None, typer.Option(help="Rows of the activation files of a PE.", show_default="as many as needed")
]
Layers = Annotated[int | None, typer.Option(help="Rows of the layer table.", show_default="as many as needed")]
BalanceLoad = Annotated[
    bool,
    typer.Option("--balance/--no-balance", help="Assign rows to PEs so that the load is balanced, or in turn."),
]
Positions = Annotated[
    int,
    typer.Option(
        min=1,
        help="Positions of a convolution in one start, at most. More take fewer cycles and more memory: the kernel is "
        "stored once for each.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The sizes on which a search counts cycles."""

    pes: Pes = PES


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """Compile options of the array; the fields of zeroskip.api.eie.compile.EieCompileSettings."""

    density: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Prune to this fraction of the weights: in five rounds, each trained at a tenth of the learning "
            "rate, unless --pruning says otherwise.",
            show_default="the weights that are zero already",
        ),
    ] = None
    pruning: Annotated[
        Pruning,
        typer.Option(
            help="Prune to the density in rounds with training; or each layer at once, without training, by magnitude, "
            "Wanda or SparseGPT."
        ),
    ] = EieCompileSettings.pruning
    sharing: Annotated[
        Sharing,
        typer.Option(
            help="Share the 15 values of a layer by its weights alone, or also by what it reads: weights count by "
            "their inputs; errors are made up for; columns behind a normalisation are scaled. Each does what those "
            "before it do."
        ),
    ] = EieCompileSettings.sharing
    pes: Pes = PES
    index_bits: IndexBits = EieCompileSettings.index_bits
    queue_depth: QueueDepth = EieCompileSettings.queue_depth
    entries_per_word: EntriesPerWord = EieCompileSettings.entries_per_word
    accumulator_bits: AccumulatorBits = EieCompileSettings.accumulator_bits
    product_shift: ProductShift = EieCompileSettings.product_shift
    entry_words: EntryWords = None
    pointers: Pointers = None
    activation_rows: ActivationRows = None
    layers: Layers = None
    balance_load: BalanceLoad = True
    positions: Positions = EieCompileSettings.positions

    def settings(self) -> EieCompileSettings:
        """The same settings for the API."""
        return EieCompileSettings(**vars(self))


@dataclass(frozen=True, kw_only=True)
class EmitOptions:
    """The fields of zeroskip.model.eie.geometry.EieGeometry that an array of shared weights can have."""

    pes: Pes = EieGeometry.pes
    index_bits: IndexBits = EieGeometry.index_bits
    queue_depth: QueueDepth = EieGeometry.queue_depth
    entries_per_word: EntriesPerWord = EieGeometry.entries_per_word
    accumulator_bits: AccumulatorBits = EieGeometry.accumulator_bits
    product_shift: ProductShift = EieGeometry.product_shift
    entry_words: Annotated[int, typer.Option(help="Words of the sparse-matrix memory of a PE.")] = (
        EieGeometry.entry_words
    )
    pointers: Annotated[int, typer.Option(help="Column pointers of a PE.")] = EieGeometry.pointers
    activation_rows: Annotated[int, typer.Option(help="Rows of the activation files of a PE.")] = (
        EieGeometry.activation_rows
    )
    layers: Annotated[int, typer.Option(help="Rows of the layer table.")] = EieGeometry.layers

    def geometry(self) -> EieGeometry:
        """The array of these sizes. Raises ValueError for one that cannot be built."""
        return EieGeometry(**vars(self))


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """The fields of zeroskip.api.eie.demo.EieDemoSettings."""

    pes: Annotated[
        int | None, typer.Option(help="Processing elements.", show_default="8 for digits, 16 for Fashion-MNIST")
    ] = None


@dataclass(frozen=True, kw_only=True)
class SimulateOptions:
    """Fields of zeroskip.api.simulate.SimulateSettings."""

    saturate: Annotated[bool, typer.Option(help="Clip inputs that do not fit, and count them.")] = False
