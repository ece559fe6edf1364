"""How a network uses the layer table: a list of stages, and the host's work between them.

Stages stand in an order in which each comes after those that it reads: `back` places before it, (1,) being the result
of the stage right before it; the network's input stands before the first stage. The last stage gives the output.

A core runs a stage once for each row that `gather` makes from the values that it reads; `scatter` makes its own values
from the results. A convolution may compute several neighbouring positions in one start, a tile of its output. Values
are flat; those of images are in the order channels x height x width:

    rows = stage.gather(values)               images x values    ->  starts x inputs
    for layer in stage.layers:                                       on the array, one start for each row
        rows = layer(rows)
    values = stage.scatter(rows)              starts x outputs   ->  images x values

Values are only moved and compared here, so that integers and floats stay exact. The stages of additions,
products, concatenations and activations (HostStage) are computed on the host by what their core defines for its
numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.cells import GATES, State
from zeroskip.model.network.fields import ADDED_LATER, are_fields, tensor_names, to_fields, to_tensors
from zeroskip.model.network.host_stages import (
    ActivationStage,
    AddStage,
    ClampStage,
    ConcatStage,
    HostStage,
    MoveStage,
    MultiplyStage,
    SpreadStage,
)
from zeroskip.model.network.samples import MOST_VALUES
from zeroskip.model.network.stage_checks import BEFORE, check_back
from zeroskip.model.network.token_stages import (
    ConstantStage,
    EmbeddingStage,
    NormStage,
    ProductStage,
    ScaleStage,
    SoftmaxStage,
)

MOST_ON_A_SIDE = 1 << 20
"""The greatest number of channels, and the greatest height or width of an image or a window."""

SMALL_PADDING = 32
"""More padding than this must not be more than the image: where it is, most windows see no image at all."""

MOST_PATCH_VALUES = 1 << 31
"""The greatest number of values of the patches of one image. With MOST_VALUES it limits the memory that a file of a
network can ask for."""


@dataclass(frozen=True, kw_only=True)
class LinearStage:
    """The rows `first` to `last` of the layer table, fully connected, in one start for each of the `rows` of values
    that an image has, which are its tokens where there are more than one."""

    first: int
    last: int
    rows: int = dataclasses.field(default=1, metadata=ADDED_LATER)
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        if not 0 <= _integer(self, "first") <= _integer(self, "last"):
            raise ValueError(f"first and last must be layers in order, not {self.first} and {self.last}")
        if not 1 <= _integer(self, "rows") <= MOST_VALUES:
            raise ValueError(f"rows must be an integer from 1 to {MOST_VALUES:,}, not {self.rows}")

    @property
    def layers(self) -> range:
        return range(self.first, self.last + 1)

    @property
    def starts(self) -> int:
        """Starts for each image."""
        return self.rows

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(len(values) * self.rows, -1)

    def scatter(self, rows: NDArray[Any]) -> NDArray[Any]:
        return rows.reshape(len(rows) // self.rows, -1)


@dataclass(frozen=True, kw_only=True)
class RecurrentStage:
    """A recurrent `cell` (zeroskip.model.network.cells): row `layer` of the table, once for each of `steps`, one after
    another, as it multiplies the state that the host makes of the step before.

    It reads the sums of all steps' inputs (steps x gates * `hidden` values), which another layer made, and gives the
    states after each step (steps x hidden values). The first state is zero.
    """

    layer: int
    cell: str
    steps: int
    hidden: int
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        if _integer(self, "layer") < 0:
            raise ValueError(f"layer must be at least 0, not {self.layer}")
        if self.cell not in GATES:
            raise ValueError(f"cell must be one of {', '.join(GATES)}, not {self.cell!r}")
        for name in ("steps", "hidden"):
            if not 1 <= _integer(self, name) <= MOST_VALUES:
                raise ValueError(f"{name} must be an integer from 1 to {MOST_VALUES:,}, not {getattr(self, name)}")
        if self.steps * self.sums > MOST_VALUES:
            raise ValueError(f"steps must make at most {MOST_VALUES:,} values, not {self.steps * self.sums:,}")

    @property
    def layers(self) -> range:
        return range(self.layer, self.layer + 1)

    @property
    def starts(self) -> int:
        return self.steps

    @property
    def sums(self) -> int:
        """Those of a step."""
        return GATES[self.cell] * self.hidden

    def first(self, images: int) -> State:
        zeros = np.zeros((images, self.hidden))
        return State(zeros, zeros)


@dataclass(frozen=True, kw_only=True)
class _Window:
    """A window of `kernel` (height, width) that moves by `stride` over images, `padding` around them on each side. The
    values that it sees are `dilation` apart."""

    channels: int
    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)
    dilation: tuple[int, int] = dataclasses.field(default=(1, 1), metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        for name in ("channels", "height", "width"):
            if _integer(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
            if getattr(self, name) > MOST_ON_A_SIDE:
                raise ValueError(f"{name} must be at most {MOST_ON_A_SIDE:,}, not {getattr(self, name):,}")
        for name, lowest in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            pair = getattr(self, name)
            integers = isinstance(pair, tuple) and [type(value) for value in pair] == [int, int]
            if not integers or min(pair) < lowest:
                raise ValueError(f"{name} must be two integers of at least {lowest}, not {pair!r}")
            if max(pair) > MOST_ON_A_SIDE:
                raise ValueError(f"{name} must be at most {MOST_ON_A_SIDE:,}, not {_by(pair)}")
        for size, padding in zip((self.height, self.width), self.padding, strict=True):
            if padding > max(size, SMALL_PADDING):
                raise ValueError(
                    f"padding must be at most {SMALL_PADDING}, or the {self.height} x {self.width} of the images, "
                    f"not {_by(self.padding)}"
                )
        if min(self.out_size) < 1:
            apart = "" if self.dilation == (1, 1) else f", dilated by {_by(self.dilation)},"
            raise ValueError(
                f"kernel {_by(self.kernel)}{apart} must fit into the {self.height} x {self.width} of its input "
                f"with a padding of {_by(self.padding)}"
            )
        padded = [size + 2 * padding for size, padding in zip((self.height, self.width), self.padding, strict=True)]
        if self.channels * padded[0] * padded[1] > MOST_VALUES:
            raise ValueError(
                f"channels, height and width must make at most {MOST_VALUES:,} values an image with its padding, not "
                f"{self.channels:,} x {padded[0]:,} x {padded[1]:,}"
            )
        if self.positions * self.patch > MOST_PATCH_VALUES:
            raise ValueError(
                f"kernel {_by(self.kernel)} must see at most {MOST_PATCH_VALUES:,} values at all its positions, not "
                f"{self.positions * self.patch:,}"
            )

    @property
    def out_size(self) -> tuple[int, int]:
        """Positions of the window: rows, and in each row."""
        sizes = zip((self.height, self.width), self.extent, self.stride, self.padding, strict=True)
        down, across = ((size + 2 * padding - extent) // stride + 1 for size, extent, stride, padding in sizes)
        return down, across

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the window, with what lies between the values that it sees."""
        down, across = (apart * (size - 1) + 1 for size, apart in zip(self.kernel, self.dilation, strict=True))
        return down, across

    @property
    def positions(self) -> int:
        return self.out_size[0] * self.out_size[1]

    @property
    def inputs(self) -> int:
        """Values of an image."""
        return self.channels * self.height * self.width

    @property
    def patch(self) -> int:
        """Values that the window sees."""
        return self.channels * self.kernel[0] * self.kernel[1]

    def patches(self, values: NDArray[Any], fill: Any, tile: tuple[int, int] = (1, 1)) -> NDArray[Any]:
        """The values that each `tile` of positions sees, channel by channel (images * tiles x values). Tiles follow one
        another along the rows of an image."""
        images = values.reshape(len(values), self.channels, self.height, self.width)
        down, across = self.padding
        high, wide = seen_by(tile, self.extent, self.stride)
        stride = (self.stride[0] * tile[0], self.stride[1] * tile[1])
        below, right = (
            around + max(0, step * (positions - 1) + extent - size - 2 * around)
            for size, positions, step, around, extent in zip(
                images.shape[2:], self.out_size, self.stride, self.padding, self.extent, strict=True
            )
        )
        padded = np.pad(images, ((0, 0), (0, 0), (down, below), (across, right)), constant_values=fill)
        views = np.lib.stride_tricks.sliding_window_view(padded, (high, wide), axis=(2, 3))
        seen = views[:, :, :: stride[0], :: stride[1], :: self.dilation[0], :: self.dilation[1]]
        return seen.transpose(0, 2, 3, 1, 4, 5).reshape(-1, self.channels * math.prod(seen.shape[4:]))

    def images(self, rows: NDArray[Any], tile: tuple[int, int] = (1, 1)) -> NDArray[Any]:
        """Rows of a value for each channel at each position of a tile, as flat images: tile by tile, and within a tile
        position by position."""
        (down, across), (high, wide) = self.out_size, tile
        tiles = rows.reshape(-1, down // high, across // wide, high, wide, rows.shape[1] // (high * wide))
        return tiles.transpose(0, 5, 1, 3, 2, 4).reshape(len(tiles), -1)


@dataclass(frozen=True, kw_only=True)
class ConvStage(_Window):
    """A convolution: row `layer` of the table, in one start for each `tile` (down, across) of positions of each image.

    The matrix has a column for each value that the tile sees, and its rows are position by position the output
    channels (zeroskip.model.eie.tiles). With `groups` it is block-diagonal; its zeros take no place.
    """

    layer: int
    groups: int = 1
    tile: tuple[int, int] = dataclasses.field(default=(1, 1), metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        if _integer(self, "layer") < 0:
            raise ValueError(f"layer must be at least 0, not {self.layer}")
        if _integer(self, "groups") < 1 or self.channels % self.groups:
            raise ValueError(f"groups must divide the {self.channels} channels, not be {self.groups}")
        integers = isinstance(self.tile, tuple) and [type(value) for value in self.tile] == [int, int]
        if not integers or min(self.tile) < 1:
            raise ValueError(f"tile must be two integers of at least 1, not {self.tile!r}")
        if self.dilation != (1, 1) and self.tile != (1, 1):
            raise ValueError(f"tile must be 1 x 1 with a dilation of {_by(self.dilation)}, not {_by(self.tile)}")
        if any(size % part for size, part in zip(self.out_size, self.tile, strict=True)):
            raise ValueError(f"tile must divide the {_by(self.out_size)} positions, not be {_by(self.tile)}")

    @property
    def layers(self) -> range:
        return range(self.layer, self.layer + 1)

    @property
    def together(self) -> int:
        """Positions of a tile."""
        return self.tile[0] * self.tile[1]

    @property
    def starts(self) -> int:
        return self.positions // self.together

    @property
    def tile_inputs(self) -> int:
        """Values that a tile sees."""
        high, wide = seen_by(self.tile, self.kernel, self.stride)
        return self.channels * high * wide

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.patches(values, 0, self.tile)

    def scatter(self, rows: NDArray[Any]) -> NDArray[Any]:
        return self.images(rows, self.tile)


@dataclass(frozen=True, kw_only=True)
class MaxPoolStage(_Window):
    """Max pooling, only on the host. Padding is smaller than any value. Where `ceil`, windows may reach over the edge,
    if they begin before it (torch's ceil_mode)."""

    ceil: bool = dataclasses.field(default=False, metadata=ADDED_LATER)

    @property
    def out_size(self) -> tuple[int, int]:
        if not self.ceil:
            return super().out_size
        sizes = zip((self.height, self.width), self.extent, self.stride, self.padding, strict=True)
        down, across = (
            min(-(-(size + 2 * around - extent) // step), (size + around - 1) // step) + 1
            for size, extent, step, around in sizes
        )
        return down, across

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.ceil) is not bool:
            raise ValueError(f"ceil must be true or false, not {self.ceil!r}")
        if any(2 * padding > kernel for padding, kernel in zip(self.padding, self.kernel, strict=True)):
            raise ValueError(
                f"padding must be at most half the kernel {_by(self.kernel)}, not {_by(self.padding)}: "
                "a window must see at least one value"
            )

    @property
    def layers(self) -> range:
        return range(0)

    @property
    def starts(self) -> int:
        return 0

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.patches(values, np.iinfo(values.dtype).min if values.dtype.kind == "i" else -np.inf)

    def scatter(self, rows: NDArray[Any]) -> NDArray[Any]:
        return self.images(rows.reshape(len(rows), self.channels, -1).max(axis=2))


def seen_by(tile: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
    """Height and width of what the windows at a `tile` (down, across) of positions see together."""
    sizes = zip(tile, kernel, stride, strict=True)
    high, wide = (window + step * (positions - 1) for positions, window, step in sizes)
    return high, wide


HostStages = (
    AddStage
    | MultiplyStage
    | ConcatStage
    | ClampStage
    | ActivationStage
    | MoveStage
    | SpreadStage
    | NormStage
    | SoftmaxStage
    | ProductStage
    | ScaleStage
    | EmbeddingStage
    | ConstantStage
)
Stage = LinearStage | RecurrentStage | ConvStage | MaxPoolStage | HostStages

KINDS: dict[str, type[Stage]] = {
    "linear": LinearStage,
    "conv": ConvStage,
    "max pool": MaxPoolStage,
    "add": AddStage,
    "multiply": MultiplyStage,
    "concat": ConcatStage,
    "clamp": ClampStage,
    "activation": ActivationStage,
    "recurrent": RecurrentStage,
    "move": MoveStage,
    "spread": SpreadStage,
    "norm": NormStage,
    "softmax": SoftmaxStage,
    "matrix product": ProductStage,
    "scale": ScaleStage,
    "embedding": EmbeddingStage,
    "constant": ConstantStage,
}
"""The stages' names in files and reports."""

HOST_KINDS = tuple(name for name, kind in KINDS.items() if issubclass(kind, HostStage | RecurrentStage))
"""Those of the stages that the host computes, or a part of them."""


def rows_together(stage: Stage) -> int:
    """The starts of an image that a core can run together: all but those of a recurrent stage, whose steps wait for one
    another."""
    return 1 if isinstance(stage, RecurrentStage) else stage.starts


def sources(index: int, stage: Stage) -> tuple[int, ...]:
    """The numbers of the values that stage `index` reads: 0 is the network's input, i + 1 what stage i gives."""
    return tuple(index + 1 - back for back in stage.back)


class TableRow(Protocol):
    """The fields of a layer that stages use."""

    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...


def host_name(stage: HostStage) -> str:
    """What a stage of the host does, for people: "additions"."""
    names = {
        AddStage: "additions",
        MultiplyStage: "products",
        ConcatStage: "concatenations",
        ClampStage: "limits",
        MoveStage: "moves",
        SpreadStage: "zeros",
        NormStage: "normalisations",
        SoftmaxStage: "softmaxes",
        ProductStage: "matrix products",
        ScaleStage: "constants",
        EmbeddingStage: "embeddings",
        ConstantStage: "constants",
    }
    return names.get(type(stage), "activations")


def kind_name(stage: Stage) -> str:
    return next(name for name, kind in KINDS.items() if type(stage) is kind)


def computes_on_host(stages: Sequence[Stage]) -> bool:
    """Whether a network has additions, products, concatenations or activations of their own: files of version 4."""
    return any(isinstance(stage, HostStage | RecurrentStage) for stage in stages)


def value_counts(stages: Sequence[Stage], layers: Sequence[TableRow]) -> list[int]:
    """Values of an image: those of the network's input, and those after each stage.

    Raises ValueError naming the stage that does not follow from those it reads, or does not fit the table.
    """
    counts: list[int] = []
    following = 0
    unread = set(range(len(stages)))
    for index, stage in enumerate(stages):
        where = f"stages[{index}]"
        rows = stage.layers
        if rows and (rows.start != following or rows.stop > len(layers)):
            fields = "first, last" if isinstance(stage, LinearStage) else "layer"
            raise ValueError(
                f"{where} must continue with layer {following} of {len(layers)}, "
                f"not use {rows.start} to {rows.stop - 1} ({fields})"
            )
        following = max(following, rows.stop)
        read = sources(index, stage)
        if min(read) < 0:
            raise ValueError(f"{where}.back must be at most {index + 1}, the network's input, not {max(stage.back)}")
        unread -= set(read)
        taken, outputs = _counts(stage, layers, where)
        if not counts:
            counts.append(taken[0])
        for source, count in zip(read, taken, strict=True):
            if count != counts[source]:
                before = "the step before it" if stage.back == BEFORE else f"value {source}, which it reads,"
                raise ValueError(f"{where} takes {count} values an image, but {before} gives {counts[source]}")
        counts.append(outputs)
    if following != len(layers):
        raise ValueError(f"stages must use all {len(layers)} layers, not {following} of them")
    if unread:
        first = min(unread)
        what = "the network's input" if first == 0 else f"what stages[{first - 1}] gives"
        raise ValueError(f"stages must read {what}, not leave it unused")
    return counts


def _counts(stage: Stage, layers: Sequence[TableRow], where: str) -> tuple[tuple[int, ...], int]:
    """The values of an image that a stage takes from each of its sources, and those that it gives. Raises ValueError
    where it does not fit the table."""
    if isinstance(stage, LinearStage):
        return (stage.rows * layers[stage.first].inputs,), stage.rows * layers[stage.last].outputs
    if isinstance(stage, HostStage):
        return stage.takes, stage.gives
    if isinstance(stage, RecurrentStage):
        layer = layers[stage.layer]
        if (layer.inputs, layer.outputs) != (stage.hidden, stage.sums):
            raise ValueError(
                f"{where} needs {stage.sums} sums of {stage.hidden} values, but layers[{stage.layer}] gives "
                f"{layer.outputs} of {layer.inputs}"
            )
        return (stage.steps * stage.sums,), stage.steps * stage.hidden
    outputs = stage.positions * stage.channels
    if isinstance(stage, ConvStage):
        layer = layers[stage.layer]
        if layer.inputs != stage.tile_inputs:
            raise ValueError(
                f"{where} takes {stage.tile_inputs} values a start (tile {_by(stage.tile)}), but "
                f"layers[{stage.layer}] {layer.inputs}"
            )
        if layer.outputs % stage.together:
            raise ValueError(
                f"{where}.tile must divide the {layer.outputs} outputs, not have {stage.together} positions"
            )
        channels = layer.outputs // stage.together
        if channels % stage.groups:
            raise ValueError(f"{where}.groups must divide the {channels} outputs, not be {stage.groups}")
        outputs = stage.starts * layer.outputs
    return (stage.inputs,), outputs


def image_shape(stage: Stage) -> tuple[int, int, int] | None:
    """The channels, height and width of the images that a stage takes; None for one that may take flat values."""
    return (stage.channels, stage.height, stage.width) if isinstance(stage, _Window) else None


def input_image_shape(stages: Sequence[Stage]) -> tuple[int, int, int] | None:
    """Those of the images that a network takes; None where it takes flat values."""
    shapes = [image_shape(stage) for index, stage in enumerate(stages) if 0 in sources(index, stage)]
    return next((shape for shape in shapes if shape is not None), None)


def shapes(stages: Sequence[Stage], layers: Sequence[TableRow]) -> list[str]:
    """The shapes of an image through the network, for people: "1x28x28", "20x24x24", "20x12x12", ..., "500", "10". What
    stages of several inputs, or of another than the one before them, read is said by its place: "8x7x7 (1 + 3)"."""
    counts = value_counts(stages, layers)
    image = input_image_shape(stages)
    found: list[tuple[int, ...]] = [(counts[0],) if image is None else image]
    names = [_name(found[0])]
    for index, stage in enumerate(stages):
        read = sources(index, stage)
        given = [found[source] for source in read]
        if isinstance(stage, LinearStage):
            rows = () if stage.rows == 1 else (stage.rows,)
            made = [(*rows, layers[row].outputs) for row in stage.layers]
            found.append(made[-1])
            names += [_name(shape) for shape in made[:-1]]
        elif isinstance(stage, RecurrentStage):
            found.append((stage.steps, stage.hidden))
        elif isinstance(stage, MoveStage):
            found.append(stage.sizes or (1,))
        elif isinstance(stage, SpreadStage):
            found.append((stage.channels, *stage.size))
        elif isinstance(stage, ProductStage):
            found.append((stage.batch, stage.rows, stage.columns)[stage.batch == 1 :])
        elif isinstance(stage, EmbeddingStage):
            found.append((stage.values, stage.table.shape[1]))
        elif isinstance(stage, _Window):
            channels = layers[stage.layer].outputs // stage.together if isinstance(stage, ConvStage) else stage.channels
            found.append((channels, *stage.out_size))
        elif isinstance(stage, ConcatStage) and len({shape[1:] for shape in given}) == 1:
            found.append((sum(shape[0] for shape in given), *given[0][1:]))
        else:
            gated = isinstance(stage, MultiplyStage)
            same = len(set(given)) == 1 and math.prod(given[0]) == counts[index + 1]
            found.append(given[0] if gated or same else (counts[index + 1],))
        note = {AddStage: " + ", MultiplyStage: " * ", ConcatStage: " | ", ProductStage: " @ "}.get(type(stage), "")
        reads = f" ({note.join(map(str, read))})" if note or stage.back != BEFORE else ""
        names.append(_name(found[-1]) + reads)
    return names


def _name(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def to_json(stage: Stage) -> dict[str, Any]:
    return {"kind": kind_name(stage), **to_fields(stage)}


def from_json(value: Any, tensors: Mapping[str, NDArray[Any]]) -> Stage:
    """The inverse of `to_json`, with the arrays of the stage by name; raises ValueError that names the field."""
    if not isinstance(value, dict) or value.get("kind") not in list(KINDS):
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {value!r}")
    fields = {
        name: tuple(field) if isinstance(field, list) else field for name, field in value.items() if name != "kind"
    }
    kind: Callable[..., Stage] = KINDS[value["kind"]]
    if not are_fields(KINDS[value["kind"]], set(fields)):
        names = {field.name for field in dataclasses.fields(KINDS[value["kind"]])} - set(
            tensor_names(KINDS[value["kind"]])
        )
        raise ValueError(f"a {value['kind']} stage must have the fields {sorted(names)}, not {sorted(fields)}")
    wanted = tensor_names(KINDS[value["kind"]])
    return kind(**fields, **{name: tensors.get(name) for name in wanted})


def stage_tensors(stages: Sequence[Stage]) -> dict[str, NDArray[Any]]:
    """The arrays of stages by their names in a file: "stages.2.weight"."""
    return {
        f"stages.{index}.{name}": array
        for index, stage in enumerate(stages)
        for name, array in to_tensors(stage).items()
    }


def _integer(stage: object, name: str) -> int:
    value = getattr(stage, name)
    if type(value) is not int:
        raise ValueError(f"{name} must be an integer, not {value!r}")
    return value


def _by(pair: tuple[int, int]) -> str:
    return f"{pair[0]} x {pair[1]}"
