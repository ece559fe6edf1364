"""A network compiled for the EIE array: its memory images, and its file (zeroskip.model.network.container)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.bits import power_of_two_at_least
from zeroskip.model.eie.format import Columns, decode, encode, pack_words, unpack_words
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.model.eie.host import KEEPING, MOST_APART, activation_table, most_fraction, run_host
from zeroskip.model.eie.rounding import rounded_float
from zeroskip.model.eie.sparse_rows import SparseRows
from zeroskip.model.eie.tiles import of_one_position
from zeroskip.model.network.bundle import BundleFormat, Header, check_groups, load_with, require_tensors
from zeroskip.model.network.cells import State, advance
from zeroskip.model.network.container import BundleError, Container, check_kinds, check_sizes, check_tensor
from zeroskip.model.network.fields import ADDED_LATER
from zeroskip.model.network.host_stages import (
    ActivationStage,
    AddStage,
    ConcatStage,
    HostStage,
    MultiplyStage,
)
from zeroskip.model.network.losses import Loss
from zeroskip.model.network.staged import StagedNetwork
from zeroskip.model.network.stages import (
    LinearStage,
    RecurrentStage,
    Stage,
    computes_on_host,
    host_name,
    sources,
    value_counts,
)
from zeroskip.model.network.token_stages import EmbeddingStage, SoftmaxStage

MAX_FRACTION = 164
"""float32 values never need more fraction bits than this."""


class FitError(ValueError):
    """A network that does not fit a geometry's memories; the message names the memory, how much is missing,
    and a sufficient size."""


@dataclass(frozen=True, kw_only=True)
class EieLayer:
    """A row of the layer table: `outputs` x `inputs` weights and, where `bias`, one more column for the bias. Of a
    convolution, these are the outputs and inputs of a start.

    An integer with f fraction bits has the value of the integer divided by 2**f. Accumulators carry
    `input_fraction + weight_fraction - product_shift` fraction bits, of which `out_shift` are rounded away. The
    activation of the bias column is `2**bias_exponent`, and its weights are the biases divided by it.
    """

    inputs: int
    outputs: int
    relu: bool
    bias: bool
    input_fraction: int
    weight_fraction: int
    output_fraction: int
    bias_exponent: int = dataclasses.field(default=0, metadata=ADDED_LATER)

    @property
    def columns(self) -> int:
        return self.inputs + self.bias

    @property
    def bias_activation(self) -> int:
        """The activation of the bias column."""
        return 1 << (self.input_fraction + self.bias_exponent) if self.bias else 0

    def out_shift(self, geometry: EieGeometry) -> int:
        return self.input_fraction + self.weight_fraction - geometry.product_shift - self.output_fraction


@dataclass(frozen=True, kw_only=True, eq=False)
class EieNetwork(StagedNetwork):
    """A compiled network: the contents of the memories of an array of `geometry`.

    `entries` (uint8, pes x words x word_bytes) are the images of the sparse-matrix memories, one layer
    after another; `pointers` (uint32, pes x all columns + layers) the column pointers, as entry numbers; `codebooks`
    (int16, layers x codebook_size), entry 0 zero. `stages` define how images go through the layers. Output i of the
    network is value `order[i]` of the last stage (uint32, outputs). `fractions` (int32, stages + 1) are the fraction
    bits of the network's input and of what each stage gives; None where the layers say it (without a HostStage).
    `tables` (int16, activations x 65,536) are the results of each ActivationStage in order, by the 16 bits of what it
    reads; None where there is none.
    """

    core: ClassVar[str] = "eie"
    geometry: EieGeometry
    layers: tuple[EieLayer, ...]
    stages: tuple[Stage, ...]
    entries: NDArray[np.uint8]
    pointers: NDArray[np.uint32]
    codebooks: NDArray[np.int16]
    order: NDArray[np.uint32]
    fractions: NDArray[np.int32] | None = None
    tables: NDArray[np.int16] | None = None

    @cached_property
    def value_fractions(self) -> list[int]:
        """The fraction bits of the network's input, and of what each stage gives."""
        return _of_layers(self.stages, self.layers) if self.fractions is None else self.fractions.tolist()

    @property
    def input_fraction(self) -> int:
        return self.value_fractions[0]

    @property
    def output_fraction(self) -> int:
        return self.value_fractions[-1]

    def run_host(self, index: int, given: list[NDArray[Any]]) -> tuple[NDArray[Any], list[Loss]]:
        """Computes stage `index`, one of the host's, on the values that it reads (each int16, images x values). The
        loss is that of the layer before it in the table."""
        stage = self.stages[index]
        assert isinstance(stage, HostStage)
        fractions = [self.value_fractions[source] for source in sources(index, stage)]
        table = None
        if self.tables is not None and isinstance(stage, ActivationStage):
            table = self.tables[sum(isinstance(before, ActivationStage) for before in self.stages[:index])]
        made = run_host(stage, given, fractions, self.value_fractions[index + 1], table)
        layers = sum(len(before.layers) for before in self.stages[:index])
        if isinstance(stage, KEEPING):
            # Limits are the network's own, not the format's.
            return made.outputs, []
        loss = Loss(
            layer=max(layers - 1, 0),
            what=f"{host_name(stage)} behind it",
            values=made.values,
            to_zero=made.vanished,
            saturated=made.saturated,
        )
        return made.outputs, [loss]

    def run_cell(
        self, index: int, inputs: NDArray[Any], recurrent: NDArray[Any], left: State | None
    ) -> tuple[NDArray[Any], State]:
        """A step of stage `index`, from the sums of its inputs and of the state (int16): the cell in float64
        (zeroskip.model.network.cells), and the state h as activations, saturate16(round_half_even(h * 2**g))."""
        stage = self.stages[index]
        assert isinstance(stage, RecurrentStage)
        (source,), result = sources(index, stage), self.value_fractions[index + 1]
        fractions = self.value_fractions[source], self.layers[stage.layer].output_fraction
        given, state = (
            np.ldexp(part.astype(np.float64), -fraction)
            for part, fraction in zip((inputs, recurrent), fractions, strict=True)
        )
        before = stage.first(len(inputs)) if left is None else left
        after = advance(stage.cell, given, state, before)
        held = rounded_float(after.hidden, result).outputs
        return held, State(np.ldexp(held.astype(np.float64), -result), after.memory)

    @property
    def starts_per_image(self) -> int:
        return sum(stage.starts for stage in self.stages)

    @property
    def pointer_bases(self) -> list[int]:
        """Where each layer's column pointers start, the same in each PE."""
        lengths = [layer.columns + 1 for layer in self.layers]
        return [sum(lengths[:index]) for index in range(len(lengths))]

    @cached_property
    def is_weight(self) -> NDArray[np.bool_]:
        """Which entries of the memories are weights, and not padding (pes x entries)."""
        count = self.entries.shape[1] * self.geometry.entries_per_word
        return np.stack([unpack_words(image, count, self.geometry)[0] != 0 for image in self.entries])

    def columns(self, index: int) -> Columns:
        """Layer `index` in interleaved CSC form."""
        base, layer = self.pointer_bases[index], self.layers[index]
        pointers = self.pointers[:, base : base + layer.columns + 1].astype(np.int64)
        begin, end = pointers[:, 0], pointers[:, -1]
        codes, skips = [], []
        for pe in range(self.geometry.pes):
            pe_codes, pe_skips = unpack_words(self.entries[pe], int(end[pe]), self.geometry)
            codes.append(pe_codes[begin[pe] :])
            skips.append(pe_skips[begin[pe] :])
        return Columns(
            outputs=layer.outputs,
            codes=np.concatenate(codes),
            skips=np.concatenate(skips),
            pointers=pointers - begin[:, None],
        )

    def weights(self, index: int) -> NDArray[np.int16]:
        """The integer matrix of layer `index`, the bias as its last column (outputs x columns)."""
        weights: NDArray[np.int16] = self.codebooks[index][decode(self.columns(index), self.geometry)]
        return weights

    @cached_property
    def sparse_rows(self) -> list[SparseRows]:
        """The matrix of each layer, as `weights` gives it, by its weights that are not zero."""
        return [SparseRows.of(self.weights(index)) for index in range(len(self.layers))]

    def position_codes(self, index: int) -> NDArray[np.uint8]:
        """The codes of the matrix of one position of layer `index`, the bias as its last column (outputs x columns)."""
        stage = next(stage for stage in self.stages if index in stage.layers)
        return of_one_position(stage, decode(self.columns(index), self.geometry))


def assemble(
    geometry: EieGeometry,
    layers: tuple[EieLayer, ...],
    codes: list[NDArray[np.uint8]],
    codebooks: NDArray[np.int16],
    stages: tuple[Stage, ...] | None = None,
    order: NDArray[np.uint32] | None = None,
    fractions: NDArray[np.int32] | None = None,
    tables: NDArray[np.int16] | None = None,
) -> EieNetwork:
    """Encodes each layer's codes (uint8, outputs x columns) and stacks them in the memories of each PE.

    Without `stages` the layers are fully connected and follow one another; without `order`, the outputs are in the
    order of the last stage. `fractions` are those of EieNetwork, used where the host computes, and so are `tables`,
    which are made where they are not given. Raises FitError if a memory of `geometry` is too small, ValueError where
    the stages do not fit the layers.
    """
    if stages is None:
        stages = (LinearStage(first=0, last=len(layers) - 1),)
    value_counts(stages, layers)
    encoded = [encode(matrix, geometry) for matrix in codes]
    pointers, base = [], np.zeros((geometry.pes, 1), np.int64)
    for columns in encoded:
        pointers.append(columns.pointers + base)
        base = base + columns.pointers[:, -1:]
    images = []
    for pe in range(geometry.pes):
        slices = [slice(columns.starts[pe], columns.starts[pe + 1]) for columns in encoded]
        images.append(
            pack_words(
                np.concatenate([columns.codes[own] for columns, own in zip(encoded, slices, strict=True)]),
                np.concatenate([columns.skips[own] for columns, own in zip(encoded, slices, strict=True)]),
                geometry,
            )
        )
    words = max(len(image) for image in images)
    entries = np.zeros((geometry.pes, words, geometry.word_bytes), np.uint8)
    for pe, image in enumerate(images):
        entries[pe, : len(image)] = image
    all_pointers = np.concatenate(pointers, axis=1)
    check_fit(geometry, layers, all_pointers)
    return EieNetwork(
        geometry=geometry,
        layers=layers,
        stages=stages,
        entries=entries,
        pointers=all_pointers.astype(np.uint32),
        codebooks=codebooks,
        order=np.arange(value_counts(stages, layers)[-1], dtype=np.uint32) if order is None else order,
        fractions=fractions if computes_on_host(stages) else None,
        tables=_tables(stages, fractions) if tables is None else tables,
    )


def memory_needs(
    geometry: EieGeometry, layers: tuple[EieLayer, ...], pointers: NDArray[Any]
) -> dict[str, tuple[int, str]]:
    """The size that the network needs of each memory: geometry field -> (size, what needs it)."""
    entries = pointers[:, -1].astype(np.int64)
    fullest = int(entries.argmax())
    widths = [max(layer.inputs, layer.outputs) for layer in layers]
    widest = int(np.argmax(widths))
    return {
        "entry_words": (
            max(1, -(-int(entries[fullest]) // geometry.entries_per_word)),
            f"{int(entries[fullest])} entries in PE {fullest}",
        ),
        "pointers": (pointers.shape[1], f"{len(layers)} layers, {pointers.shape[1]} pointers in each PE"),
        "activation_rows": (
            -(-widths[widest] // geometry.pes),
            f"layer {widest} has {widths[widest]} activations",
        ),
        "layers": (len(layers), f"the network has {len(layers)} layers"),
    }


def check_fit(geometry: EieGeometry, layers: tuple[EieLayer, ...], pointers: NDArray[Any]) -> None:
    """Raises FitError for the first memory of `geometry` that does not hold the network."""
    needs = memory_needs(geometry, layers, pointers)
    smallest = ", ".join(f"{field} {power_of_two_at_least(need)}" for field, (need, _) in needs.items())
    for field, (need, where) in needs.items():
        size = getattr(geometry, field)
        if need > size:
            raise FitError(
                f"the network does not fit: {field} is {size} and {need} are needed, {need - size} too few ({where}); "
                f"{field} = {power_of_two_at_least(need)} would hold it (the smallest geometry: {smallest})"
            )


def fitted(
    geometry: EieGeometry, layers: tuple[EieLayer, ...], pointers: NDArray[Any], fields: Sequence[str]
) -> EieGeometry:
    """`geometry` with the memories `fields` at the smallest power of two that holds the network."""
    smallest = {"entry_words": 1, "pointers": 2, "activation_rows": geometry.rows_per_window, "layers": 1}
    needs = memory_needs(geometry, layers, pointers)
    sizes = {field: max(power_of_two_at_least(needs[field][0]), smallest[field]) for field in fields}
    return dataclasses.replace(geometry, **sizes)


def save(network: EieNetwork, path: Path) -> None:
    """Writes the bundle; an existing file is replaced completely or not at all."""
    tensors: dict[str, NDArray[Any]] = {
        "entries": network.entries,
        "pointers": network.pointers,
        "codebooks": network.codebooks,
        "order": network.order,
    }
    if network.fractions is not None:
        tensors["fractions"] = network.fractions
    if network.tables is not None:
        tensors["tables"] = network.tables
    FORMAT.write(path, network, tensors)


def load(path: Path) -> EieNetwork:
    """Reads a bundle and checks all of it. Raises BundleError naming the file, the field, the rule and the value."""
    return load_with(path, from_container)


def from_container(container: Container) -> EieNetwork:
    """The network in a file, after all checks."""
    header = FORMAT.header(container)
    geometry = header.geometry
    expected: dict[str, tuple[Any, tuple[int | None, ...]]] = {
        "entries": (np.uint8, (geometry.pes, None, geometry.word_bytes)),
        "pointers": (np.uint32, (geometry.pes, None)),
        "codebooks": (np.int16, (len(header.layers), geometry.codebook_size)),
        "order": (np.uint32, (None,)),
    }
    if computes_on_host(header.stages):
        expected["fractions"] = (np.int32, (len(header.stages) + 1,))
    if activations := sum(isinstance(stage, ActivationStage) for stage in header.stages):
        expected["tables"] = (np.int16, (activations, 1 << VALUE_BITS))
    require_tensors(container, expected, header.stages)
    for name, (dtype, shape) in expected.items():
        check_tensor(name, container.tensors[name], dtype, shape)
    network = EieNetwork(
        geometry=geometry,
        layers=header.layers,
        stages=header.stages,
        samples=header.samples,
        **{name: container.tensors[name] for name in expected},
    )
    _check_fractions(network)
    _check_tables(network)
    _check_memories(network)
    return network


def _check_layers(network: Header[EieGeometry, EieLayer]) -> None:
    geometry = network.geometry
    previous: EieLayer | None = None
    for index, layer in enumerate(network.layers):
        where = f"layers[{index}]"
        check_kinds(layer, where, flags=("relu", "bias"))
        check_sizes(layer, where, inputs=(1, geometry.activations), outputs=(1, geometry.activations))
        if layer.bias and not 0 <= layer.input_fraction + layer.bias_exponent <= VALUE_BITS - 2:
            scaled = f" of exponent {layer.bias_exponent}" if layer.bias_exponent else ""
            raise BundleError(
                f"{where}.input_fraction must be {-layer.bias_exponent} to {VALUE_BITS - 2 - layer.bias_exponent} "
                f"where the layer has a bias{scaled}, not {layer.input_fraction}"
            )
        for name in ("input_fraction", "weight_fraction", "output_fraction", "bias_exponent"):
            fraction = getattr(layer, name)
            if not -MAX_FRACTION <= fraction <= MAX_FRACTION:
                raise BundleError(f"{where}.{name} must be {-MAX_FRACTION} to {MAX_FRACTION}, not {fraction}")
        shift = layer.out_shift(geometry)
        if not 0 <= shift <= geometry.max_shift:
            raise BundleError(f"{where} must round away 0 to {geometry.max_shift} bits, not {shift}")
        # Within a stage, a layer's outputs are the inputs of the next.
        chained = any(index in stage.layers[1:] for stage in network.stages)
        if previous is not None and chained and layer.inputs != previous.outputs:
            raise BundleError(f"{where}.inputs must be the {previous.outputs} outputs before it, not {layer.inputs}")
        previous = layer


def _check_fractions(network: EieNetwork) -> None:
    """Raises BundleError unless each layer takes the fraction bits of what it reads, and the host can align values that
    meet."""
    if network.fractions is not None and np.any(np.abs(network.fractions) > MAX_FRACTION):
        raise BundleError(f"fractions must be {-MAX_FRACTION} to {MAX_FRACTION}, not {network.fractions.tolist()}")
    values = network.value_fractions
    for index, stage in enumerate(network.stages):
        read = [values[source] for source in sources(index, stage)]
        result = values[index + 1]
        # A recurrent layer reads what it gives.
        last = result if isinstance(stage, RecurrentStage) else read[0]
        for row in stage.layers:
            layer = network.layers[row]
            if layer.input_fraction != last:
                raise BundleError(
                    f"layers[{row}].input_fraction must be the output_fraction {last} before it, "
                    f"not {layer.input_fraction}"
                )
            last = layer.output_fraction
        if isinstance(stage, RecurrentStage):
            continue
        most = most_fraction(stage, read)
        if isinstance(stage, EmbeddingStage) and last != 0:
            raise BundleError(
                f"fractions[{index + 1 - stage.back[0]}] must be 0, as stages[{index}] reads whole numbers, not {last}"
            )
        if isinstance(stage, SoftmaxStage) and result < 0:
            raise BundleError(f"fractions[{index + 1}] must be at least 0, those of a softmax, not {result}")
        if isinstance(stage, HostStage) and not isinstance(stage, KEEPING) and most is None:
            continue
        wanted, rule = (last, "exactly") if most is None else (most, "at most")
        if result > wanted or (rule == "exactly" and result != wanted):
            raise BundleError(
                f"fractions[{index + 1}] must be {rule} {wanted}, by what stages[{index}] reads, not {result}"
            )
        if isinstance(stage, MultiplyStage) and wanted - result > MOST_APART:
            raise BundleError(
                f"fractions[{index + 1}] must be at least {wanted - MOST_APART}, by what stages[{index}] multiplies, "
                f"not {result}"
            )
        joins = isinstance(stage, AddStage | ConcatStage)
        if joins and max(*read, result) - min(*read, result) > MOST_APART:
            raise BundleError(
                f"fractions of what stages[{index}] reads and gives must be at most {MOST_APART} apart, not {read} "
                f"and {result}"
            )


def _tables(stages: Sequence[Stage], fractions: NDArray[np.int32] | None) -> NDArray[np.int16] | None:
    """Those of a network's activations."""
    found = [
        activation_table(stage, int(fractions[index + 1 - stage.back[0]]), int(fractions[index + 1]))
        for index, stage in enumerate(stages)
        if fractions is not None and isinstance(stage, ActivationStage)
    ]
    return np.stack(found) if found else None


def _check_tables(network: EieNetwork) -> None:
    """Raises BundleError for an entry of a table that is further than a unit from its function: machines may round the
    last bit of a function in different ways."""
    exact = _tables(network.stages, network.fractions)
    if network.tables is None or exact is None:
        return
    far = np.abs(network.tables.astype(np.int32) - exact) > 1
    if far.any():
        table, place = np.argwhere(far)[0].tolist()
        raise BundleError(
            f"tables[{table}, {place}] must be {exact[table, place]}, the value of the activation, not "
            f"{network.tables[table, place]}"
        )


def _of_layers(stages: Sequence[Stage], layers: Sequence[EieLayer]) -> list[int]:
    """The fraction bits of the network's input and of what each stage gives, where only layers change them."""
    values = [layers[0].input_fraction]
    for stage in stages:
        values.append(layers[stage.layers[-1]].output_fraction if stage.layers else values[-1])
    return values


FORMAT = BundleFormat(core="eie", geometry=EieGeometry, layer=EieLayer, check=_check_layers)


def _check_memories(network: EieNetwork) -> None:
    """Raises BundleError unless the images are such as `assemble` makes."""
    geometry, pointers = network.geometry, network.pointers.astype(np.int64)
    wanted = network.pointer_bases[-1] + network.layers[-1].columns + 1
    if pointers.shape[1] != wanted:
        raise BundleError(f"pointers must be {geometry.pes} x {wanted}, not of shape {pointers.shape}")
    end = np.zeros(geometry.pes, np.int64)
    for index, (base, layer) in enumerate(zip(network.pointer_bases, network.layers, strict=True)):
        begin = pointers[:, base]
        if np.any(begin != end):
            pe = int(np.argmax(begin != end))
            raise BundleError(
                f"pointers of layers[{index}] must begin with {end[pe]}, where the entries before it end, "
                f"not {begin[pe]} (PE {pe})"
            )
        end = pointers[:, base + layer.columns]
    if np.any(np.diff(pointers, axis=1) < 0):
        pe, column = np.argwhere(np.diff(pointers, axis=1) < 0)[0]
        raise BundleError(f"pointers must not decrease, as they do after number {column} of PE {pe}")
    capacity = network.entries.shape[1] * geometry.entries_per_word
    if pointers.max() > capacity:
        raise BundleError(f"pointers must not exceed the {capacity} entries of the file, not {pointers.max()}")
    words = -(-int(pointers.max()) // geometry.entries_per_word)
    if network.entries.shape[1] != words:
        raise BundleError(f"entries must be the {words} words that the pointers need, not {network.entries.shape[1]}")
    for pe, image in enumerate(network.entries):
        _check_unused_bits(image, int(pointers[pe, -1]), geometry, pe)
    if np.any(network.codebooks[:, 0]):
        raise BundleError(f"codebooks[:, 0] must be zero, not {network.codebooks[:, 0].tolist()}")
    if len(network.order) != network.outputs or np.any(np.sort(network.order) != np.arange(network.outputs)):
        raise BundleError(f"order must name each of the {network.outputs} outputs once")
    try:
        check_fit(geometry, network.layers, pointers)
        for index in range(len(network.layers)):
            codes = network.position_codes(index)
            weights = codes[:, : codes.shape[1] - network.layers[index].bias]
            check_groups(network, index, weights.shape, *np.nonzero(weights))
    except BundleError:
        raise
    except ValueError as error:
        raise BundleError(f"entries and pointers: {error}") from error


def _check_unused_bits(image: NDArray[np.uint8], entries: int, geometry: EieGeometry, pe: int) -> None:
    """Raises BundleError unless all bits of a PE's words behind its last entry, and above the last entry of each word,
    are zero."""
    bits = np.unpackbits(image, axis=1, bitorder="little")
    behind = bits[:, : geometry.word_bits].reshape(-1)[entries * geometry.entry_bits :]
    if bits[:, geometry.word_bits :].any() or behind.any():
        raise BundleError(f"entries must have zeros behind the {entries} that the pointers name (PE {pe})")
