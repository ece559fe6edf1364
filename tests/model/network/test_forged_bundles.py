"""Files of compiled networks with one wrong value and a digest that fits: each is refused by the name of the field.

The fields of the headers and the tensors are read from files, not listed, so that a new field without a check of its
own fails here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from support.forging import Place, at, contents_of, forge, name_of, places, put
from support.tile_networks import pruned
from torch import nn

from zeroskip.model.cores import CORES, load_core
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.settings import MmaSettings
from zeroskip.model.network.container import BundleError, read
from zeroskip.model.network.pattern import Pattern

TILE = "mma"


def network() -> nn.Module:
    """Every kind of stage, batches of layers in one stage, and on the tile layers that are sparse and dense."""
    torch.manual_seed(3)
    return pruned(
        nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, padding=1),
            nn.Conv2d(8, 12, 3, stride=2, bias=False),
            nn.ReLU(),
            nn.Conv2d(12, 8, 1, groups=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 2 * 2, 12),
            nn.ReLU(),
            nn.Linear(12, 7),
        ),
        Pattern(),
    )


INPUTS = np.random.default_rng(3).random((4, 1, 8, 8), np.float32)


@cache
def file_of(core: str) -> bytes:
    """The file of the network, compiled for a core."""
    import tempfile

    made = load_core(core)
    settings = MmaSettings(geometry=TileGeometry(generation="V100", k=4)) if core == TILE else made.settings_type()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.zs"
        made.save(made.compile(network(), INPUTS, settings), path)
        return path.read_bytes()


@cache
def contents(core: str) -> tuple[dict[str, Any], dict[str, Any]]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.zs"
        path.write_bytes(file_of(core))
        return contents_of(path)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., None]:
    """Writes a core's file with a change of header and tensors, and reads it."""

    def run(core: str, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
        path = tmp_path / "net.zs"
        path.write_bytes(file_of(core))
        forge(path, change)
        load_core(core).from_container(read(path))

    return run


def fields() -> Iterator[Any]:
    for core in CORES:
        for place in places(contents(core)[0]):
            yield pytest.param(core, place, id=f"{core} {'.'.join(map(str, place))}")


def wrong_values(right: Any) -> list[Any]:
    """Values of other types, and of the same one beyond every rule."""
    values: list[Any] = [None, {}, [], [1, 2, 3], "forged"]
    if isinstance(right, bool):
        return [*values, 0, 1, 1.0]
    if isinstance(right, int):
        return [*values, True, float(right), -(10**6), 10**12, 10**30, math.nan]
    if isinstance(right, float):
        return [*values, True, 10**12, math.nan, math.inf, -math.inf]
    assert isinstance(right, str)
    return [*values, True, 7, ""]


@pytest.mark.parametrize(("core", "place"), list(fields()))
def test_every_field_of_the_header(core: str, place: Place, load: Callable[..., None]) -> None:
    right = at(contents(core)[0], place)
    for value in wrong_values(right):
        with pytest.raises(BundleError) as error:
            load(core, lambda header, _, value=value: put(header, place, value))
        assert re.search(rf"\b{name_of(place)}\b", str(error.value)), f"{value!r}: {error.value}"


def objects() -> Iterator[Any]:
    """Where the objects of a header stand: the header itself, the geometry, each layer, ..."""
    for core in CORES:
        header = contents(core)[0]
        found = {place[:end] for place in places(header) for end in range(len(place))}
        for place in sorted((one for one in found if isinstance(at(header, one), dict)), key=str):
            yield pytest.param(core, place, id=f"{core} {'.'.join(map(str, place)) or 'header'}")


@pytest.mark.parametrize(("core", "place"), list(objects()))
def test_fields_that_are_missing_or_unknown(core: str, place: Place, load: Callable[..., None]) -> None:
    with pytest.raises(BundleError, match="forged"):
        load(core, lambda header, _: at(header, place).update(forged=1))
    for name in at(contents(core)[0], place):
        with pytest.raises(BundleError, match=rf"\b{name}\b"):
            load(core, lambda header, _, name=name: at(header, place).pop(name))


def set_to(value: Any, where: Any = 0) -> Callable[[NDArray[Any]], None]:
    def change(tensor: NDArray[Any]) -> None:
        tensor.reshape(-1)[where] = value

    return change


def grown(tensor: NDArray[Any]) -> None:
    tensor += 1


WRONG: dict[str, dict[str, list[Callable[[NDArray[Any]], None]]]] = {
    "eie": {
        # A padding entry that skips too little; bits behind the last entry.
        "entries": [set_to(0), set_to(1, -1)],
        "pointers": [set_to(1), set_to(2**31), set_to(2**32 - 1, -1), grown],
        "codebooks": [set_to(1), set_to(-32768)],
        "order": [set_to(7), set_to(2**32 - 1), grown],
    },
    "mma": {
        # NaN, infinity and minus infinity of fp16.
        "values": [set_to(0x7E00), set_to(0x7C00), set_to(0xFC00, -1)],
        # The same of fp32.
        "bias": [set_to(0x7FC00000), set_to(0x7F800000), set_to(0xFF800000, -1)],
        "columns": [set_to(-2), set_to(10**6), set_to(2**31 - 1, -1), grown],
        # Indices that are equal, and bits behind the last group.
        "meta": [set_to(0), set_to(2**32 - 1), set_to(0, -1)],
    },
}
"""For every tensor changes that keep its type and shape, and each break a rule."""


def tensors() -> Iterator[Any]:
    for core in CORES:
        for name in contents(core)[1]:
            yield pytest.param(core, name, id=f"{core} {name}")


@pytest.mark.parametrize(("core", "name"), list(tensors()))
def test_every_tensor(core: str, name: str, load: Callable[..., None]) -> None:
    right: NDArray[Any] = contents(core)[1][name]
    changed = []
    for change in WRONG[core][name.partition(".")[0]]:
        change(wrong := right.copy())
        changed.append(wrong)
    changed += [
        right.astype(np.float64),
        right.astype(np.int8),
        right[None],
        right.reshape(-1)[:-1].copy(),
        np.concatenate((right, right)),
        right[:0],
    ]
    for wrong in changed:
        with pytest.raises(BundleError, match=name.partition(".")[0]):
            load(core, lambda _, given, wrong=wrong: given.update({name: wrong}))
    with pytest.raises(BundleError, match="tensors must be"):
        load(core, lambda _, given: given.pop(name))


@pytest.mark.parametrize("core", CORES)
def test_the_file_itself_is_right(core: str, load: Callable[..., None]) -> None:
    load(core, lambda header, given: None)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": [200001, 200001], "padding": [100000, 100000]}, "padding must be at most 32"),
        ({"kernel": [65, 65], "padding": [32, 33]}, "padding must be at most 32"),
        ({"kernel": [21, 21]}, "kernel 21 x 21 must fit into"),
        ({"height": 1 << 19, "width": 1 << 19}, "channels, height and width must make at most 268,435,456 values"),
        ({"height": 3000, "width": 3000, "kernel": [1500, 1500]}, "must see at most 2,147,483,648 values"),
    ],
)
def test_sizes_have_bounds(core: str, changes: dict[str, Any], message: str, load: Callable[..., None]) -> None:
    """What they would allocate is more than any memory: that they end at once, by name, is the test."""
    index = next(number for number, stage in enumerate(contents(core)[0]["stages"]) if stage["kind"] == "max pool")
    with pytest.raises(BundleError, match=re.escape(f"stages[{index}]: ")) as error:
        load(core, lambda header, _: header["stages"][index].update(changes))
    assert message in str(error.value)


@pytest.mark.parametrize("core", CORES)
def test_weights_between_groups(core: str, load: Callable[..., None]) -> None:
    """The second convolution has one group, and weights between the four that its stage now claims."""
    with pytest.raises(BundleError, match=r"layers\[1\] must have zeros between the 4 groups of its convolution"):
        load(core, lambda header, _: header["stages"][2].update(groups=4))


@pytest.mark.parametrize("core", CORES)
def test_the_shape_of_the_samples_is_that_of_the_first_stage(core: str, load: Callable[..., None]) -> None:
    for shape in ([8, 8, 1], [64], [1, 8, 9]):
        message = "samples: shape must be that of the first stage, 1 x 8 x 8, not"
        with pytest.raises(BundleError, match=message):
            load(core, lambda header, _, shape=shape: header["samples"].update(shape=shape))


@pytest.mark.parametrize("text", ["{" * 100_000, '{"version": 1' + "0" * 10_000 + "}", "[]", "3", '"a"', ""])
def test_headers_that_are_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.zs"
    path.write_bytes(save({"values.0": np.zeros(3)}, metadata={"zeroskip": text}))
    with pytest.raises(BundleError, match=re.escape(f"{path}: header ")):
        read(path)
