"""A network compiled for the N:M tile: its operands, and its file (zeroskip.model.network.container)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.convert import FLOATS, from_raw, to_raw
from zeroskip.model.mma.format import illegal
from zeroskip.model.mma.gemm import Operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.layouts import from_linear, to_linear
from zeroskip.model.mma.numerics import raw_type
from zeroskip.model.network.bundle import BundleFormat, Header, check_groups, load_with, require_tensors
from zeroskip.model.network.container import BundleError, Container, check_kinds, check_sizes, check_tensor
from zeroskip.model.network.fields import ADDED_LATER
from zeroskip.model.network.samples import MOST_VALUES
from zeroskip.model.network.staged import StagedNetwork
from zeroskip.model.network.stages import Stage

PAD = -1
"""In MmaNetwork.columns: a column of zeros."""

MAX_EXPONENT = 192
"""No float32 value needs a larger power of two to come into a tile's format."""


@dataclass(frozen=True, kw_only=True)
class MmaLayer:
    """A matrix product D = A B + C: A is `outputs` x `columns` and `sparse` or dense, C the bias in every column of D.

    B has a column for each row of `inputs` values that the layer's stage gathers; `pad` of A's columns are
    zeros that fill the last group of input channels.

    A and B hold weights and activations multiplied by `2**weight_exponent` and `2**input_exponent`, C the bias
    multiplied by both, and D is divided by both.
    """

    inputs: int
    outputs: int
    columns: int
    pad: int
    sparse: bool
    relu: bool
    weight_exponent: int = dataclasses.field(default=0, metadata=ADDED_LATER)
    input_exponent: int = dataclasses.field(default=0, metadata=ADDED_LATER)

    @property
    def sum_exponent(self) -> int:
        """C and D are multiplied by two to the power of this."""
        return self.weight_exponent + self.input_exponent


@dataclass(frozen=True, kw_only=True, eq=False)
class MmaNetwork(StagedNetwork):
    """A compiled network: the operand A of each layer, `columns` (int32), the value of an input row that each
    column of A multiplies, or PAD, and `biases`, raw bits of `geometry.out`. `stages` define how images go through the
    layers.

    Between layers the host undoes the scaling of D, applies ReLU, scales B and rounds to `geometry.dtype`, to nearest
    even. Scales are powers of two, so that they change nothing but exponents.
    """

    core: ClassVar[str] = "mma"
    geometry: TileGeometry
    layers: tuple[MmaLayer, ...]
    stages: tuple[Stage, ...]
    operands: tuple[Operand, ...]
    columns: tuple[NDArray[np.int32], ...]
    biases: tuple[NDArray[Any], ...]

    @property
    def sparse_layers(self) -> list[bool]:
        return [layer.sparse for layer in self.layers]


def save(network: MmaNetwork, path: Path) -> None:
    """Writes the bundle; an existing file is replaced completely or not at all."""
    tensors: dict[str, NDArray[Any]] = {}
    for index, operand in enumerate(network.operands):
        tensors[f"values.{index}"] = np.ascontiguousarray(operand.values)
        tensors[f"columns.{index}"] = network.columns[index]
        tensors[f"bias.{index}"] = network.biases[index]
        if operand.codes is not None:
            tensors[f"meta.{index}"] = to_linear(operand.codes, operand.pattern, np.uint32)
    FORMAT.write(path, network, tensors)


def load(path: Path) -> MmaNetwork:
    """Reads a bundle and checks all of it. Raises BundleError naming the file, the field, the rule and the value."""
    return load_with(path, from_container)


def from_container(container: Container) -> MmaNetwork:
    """The network in a file, after all checks."""
    header = FORMAT.header(container)
    names = {f"{name}.{index}" for index in range(len(header.layers)) for name in ("values", "columns", "bias")}
    names |= {f"meta.{index}" for index, layer in enumerate(header.layers) if layer.sparse}
    require_tensors(container, names, header.stages)
    read = [
        _layer_tensors(container.tensors, header.geometry, index, layer) for index, layer in enumerate(header.layers)
    ]
    operands, columns, biases = zip(*read, strict=True)
    network = MmaNetwork(
        geometry=header.geometry,
        layers=header.layers,
        stages=header.stages,
        samples=header.samples,
        operands=operands,
        columns=columns,
        biases=biases,
    )
    for index, (operand, order) in enumerate(zip(operands, columns, strict=True)):
        rows, places = np.nonzero(from_raw(operand.values, header.geometry.dtype))
        # The last group may reach beyond the columns, where there are no inputs.
        beyond = np.pad(order, (0, operand.pattern.group), constant_values=PAD)
        inputs = beyond[operand.where()[rows, places]]
        layer = header.layers[index]
        check_groups(network, index, (layer.outputs, layer.inputs), rows[inputs != PAD], inputs[inputs != PAD])
    return network


def _check_header(header: Header[TileGeometry, MmaLayer]) -> None:
    if header.geometry.dtype not in FLOATS:
        raise BundleError(f"geometry.dtype must be one of {', '.join(FLOATS)}, not {header.geometry.dtype}")
    if header.geometry.out != "fp32":
        raise BundleError(f"geometry.out must be fp32 for a network, not {header.geometry.out}")
    for index, layer in enumerate(header.layers):
        _check_layer(layer, header.geometry, f"layers[{index}]")


FORMAT = BundleFormat(core="mma", geometry=TileGeometry, layer=MmaLayer, check=_check_header)


def _check_layer(layer: MmaLayer, geometry: TileGeometry, where: str) -> None:
    check_kinds(layer, where, flags=("sparse", "relu"))
    check_sizes(
        layer, where, inputs=(1, MOST_VALUES), outputs=(1, MOST_VALUES), columns=(1, MOST_VALUES), pad=(0, MOST_VALUES)
    )
    if layer.columns - layer.pad != layer.inputs:
        raise BundleError(
            f"{where} must have as many columns as inputs and pad together, "
            f"not {layer.columns}, {layer.inputs} and {layer.pad}"
        )
    for name in ("weight_exponent", "input_exponent"):
        if not -MAX_EXPONENT <= getattr(layer, name) <= MAX_EXPONENT:
            raise BundleError(f"{where}.{name} must be {-MAX_EXPONENT} to {MAX_EXPONENT}, not {getattr(layer, name)}")
    if layer.sparse and geometry.pattern.dense:
        raise BundleError(f"{where}.sparse must be false on a tile that keeps every value, not true")
    if not layer.sparse and geometry.a_words < geometry.phases:
        raise BundleError(
            f"geometry.a_words must be at least {geometry.phases}, the steps of a window of the dense {where}, "
            f"not {geometry.a_words}"
        )


def _check_numbers(name: str, bits: NDArray[Any], form: str) -> None:
    """Raises BundleError unless the raw bits are finite numbers of the format."""
    numbers = from_raw(bits, form)
    if not np.isfinite(numbers).all():
        where = tuple(np.argwhere(~np.isfinite(numbers))[0].tolist())
        raise BundleError(f"{name} must hold finite numbers, not {numbers[where]} at {where}")
    if np.any(to_raw(numbers, form) != bits):
        raise BundleError(f"{name} must hold raw bits of {form}, with zeros in the bits that it does not use")


def _layer_tensors(
    tensors: dict[str, NDArray[Any]], geometry: TileGeometry, index: int, layer: MmaLayer
) -> tuple[Operand, NDArray[np.int32], NDArray[Any]]:
    pattern = geometry.pattern
    values, columns, bias = (tensors[f"{name}.{index}"] for name in ("values", "columns", "bias"))
    groups = -(-layer.columns // pattern.group)
    kept = groups * pattern.keep if layer.sparse else layer.columns
    check_tensor(f"values.{index}", values, raw_type(geometry.operand), (layer.outputs, kept))
    check_tensor(f"columns.{index}", columns, np.int32, (layer.columns,))
    check_tensor(f"bias.{index}", bias, raw_type(geometry.result), (layer.outputs,))
    _check_numbers(f"values.{index}", values, geometry.dtype)
    _check_numbers(f"bias.{index}", bias, geometry.out)
    if not np.array_equal(np.sort(columns), np.r_[[PAD] * layer.pad, : layer.inputs]):
        raise BundleError(f"columns.{index} must name each of the {layer.inputs} inputs once, and {layer.pad} pads")
    codes = None
    if layer.sparse:
        words = tensors[f"meta.{index}"]
        check_tensor(f"meta.{index}", words, np.uint32, (layer.outputs, None))
        try:
            codes = from_linear(words, pattern, groups)
        except ValueError as error:
            raise BundleError(f"meta.{index}: {error}") from error
        if illegal(codes, pattern, geometry.check).any():
            raise BundleError(f"meta.{index} must hold codes that are legal ({geometry.check})")
    try:
        operand = Operand(values=values, codes=codes, columns=layer.columns, pattern=pattern)
    except ValueError as error:
        raise BundleError(f"layers[{index}]: {error}") from error
    return operand, columns, bias
