"""Vectors of sparse networks, and their files: what they hold, and one error that names the field for what is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.forging import at, contents_of, forge, name_of, places, put
from support.sparse_networks import cloud, float_network, network_vectors
from torch import nn

from zeroskip.model.network.container import BundleError
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.sparseconv import nn as spnn
from zeroskip.model.sparseconv.int8_network import quantise
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.vectors import SparseVectors, make_vectors
from zeroskip.model.sparseconv.vectors_file import load, save


@pytest.fixture(scope="module")
def vectors() -> SparseVectors:
    return network_vectors(extent=5)


@pytest.fixture
def file(vectors: SparseVectors, tmp_path: Path) -> Path:
    save(vectors, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_sums_come_of_the_exported_numbers(vectors: SparseVectors) -> None:
    """Adding up the products in int64, which do not wrap here, and gathering by coordinates in Python."""
    assert [layer.outputs for layer in vectors.layers] == ["same", "floored", "same"]
    for number, (layer, own) in enumerate(zip(vectors.layers, vectors.vectors, strict=True)):
        rows = {tuple(voxel): row for row, voxel in enumerate(vectors.coords[number].tolist())}
        triples = []
        for element, offset in enumerate(layer.offsets().tolist()):
            for row, (batch, *place) in enumerate(vectors.coords[number + 1].tolist()):
                met = [c * s + d for c, s, d in zip(place, layer.stride, offset, strict=True)]
                if (batch, *met) in rows:
                    triples.append([element, rows[(batch, *met)], row])
        assert own.triples.tolist() == triples
        sums = np.tile(own.bias.astype(np.int64), (len(own.sums), 1))
        for (element, source, row), product in zip(triples, own.products, strict=True):
            exact = vectors.feats[number][source].astype(np.int64) @ own.kernel[element].astype(np.int64)
            assert product.tolist() == exact.tolist()
            sums[row] += exact
        assert own.sums.tolist() == sums.tolist()
        assert np.array_equal(own.rows, vectors.feats[number][own.triples[:, 1]])


def test_results_are_those_of_the_network() -> None:
    x = cloud(3, 5)
    network = quantise(float_network("minkowski"), x)
    made = make_vectors(network, network.quantise_input(x))
    result = network(network.quantise_input(x))
    assert np.array_equal(made.feats[-1], result.feats.numpy())
    assert np.array_equal(made.coords[-1], result.coords.numpy())


@pytest.mark.parametrize(
    ("layer", "outputs"),
    [
        (spnn.Conv3d(3, 4, 3), "same"),
        (spnn.Conv3d(3, 4, 1), "same"),
        (spnn.Conv3d(3, 4, 3, stride=2, padding=1), "listed"),
        (spnn.Conv3d(3, 4, 2, stride=2), "floored"),
        (spnn.Conv3d(3, 4, 3, stride=3, convention="minkowski"), "floored"),
        (spnn.Conv3d(3, 4, 3, submanifold=False, padding=1), "listed"),
    ],
)
def test_where_outputs_are(layer: nn.Module, outputs: str) -> None:
    x = cloud(3, 5)
    network = quantise(nn.Sequential(layer), x)
    made = make_vectors(network, network.quantise_input(x))
    assert [one.outputs for one in made.layers] == [outputs]


def test_vectors_come_back_from_their_file(vectors: SparseVectors, file: Path) -> None:
    read = load(file)
    assert (read.geometry, read.layers) == (vectors.geometry, vectors.layers)
    for made, kept in zip([*read.coords, *read.feats], [*vectors.coords, *vectors.feats], strict=True):
        assert (made.dtype, made.tolist()) == (kept.dtype, kept.tolist())
    for own, kept_own in zip(read.vectors, vectors.vectors, strict=True):
        for name, value in vars(own).items():
            assert (value.dtype, value.tolist()) == (getattr(kept_own, name).dtype, getattr(kept_own, name).tolist())


def test_no_voxels_are_a_network_too(tmp_path: Path) -> None:
    network = quantise(float_network("minkowski"), cloud(3, 5))
    empty = SparseTensor(torch.zeros(0, 3, dtype=torch.int8), torch.zeros(0, 4, dtype=torch.int32))
    save(make_vectors(network, empty), tmp_path / "empty.safetensors")
    assert [len(coords) for coords in load(tmp_path / "empty.safetensors").coords] == [0, 0, 0, 0]


def test_wrong_layers_are_refused() -> None:
    x = cloud(3, 5)
    with pytest.raises(ValueError, match="layers must have at least one layer"):
        make_vectors([], x)
    with pytest.raises(TypeError, match="feats must be int8"):
        make_vectors(quantise(float_network("minkowski"), x), x)
    halved = quantise(float_network("minkowski"), x, pattern=Pattern(keep=1, group=2))
    with pytest.raises(ValueError, match="pattern must be one of dense, 2:4, not 1:2"):
        make_vectors(halved, halved.quantise_input(x))


WRONG: tuple[Any, ...] = (None, "x", 2.5, -(2**40), 2**40, True, [], {})


def test_every_header_field_is_checked(file: Path) -> None:
    """Whatever stands in a field instead of its value, the error names the file and the field."""
    kept = file.read_bytes()
    header, _ = contents_of(file)
    for place in places(header):
        for wrong in WRONG:
            if type(wrong) is type(at(header, place)) and not isinstance(wrong, int | str):
                continue
            if name_of(place) == "relu" and wrong is True:
                continue
            file.write_bytes(kept)
            forge(file, lambda header, _, place=place, wrong=wrong: put(header, place, wrong))  # type: ignore[misc]
            with pytest.raises(BundleError, match=rf"net\.safetensors: .*\b{name_of(place)}\b"):
                load(file)


def test_missing_and_unknown_fields_are_refused(file: Path) -> None:
    kept = file.read_bytes()
    header, _ = contents_of(file)
    for owner in ((), ("geometry",), ("layers", 1)):
        for name in [*at(header, owner), "more"]:
            file.write_bytes(kept)

            def change(header: dict[str, Any], _: Any, owner: Any = owner, name: str = name) -> None:
                fields = at(header, owner)
                fields.pop(name, None)
                if name == "more":
                    fields["more"] = 1

            forge(file, change)
            with pytest.raises(BundleError, match=r"must have the fields|version must be|core must be"):
                load(file)


def test_every_tensor_is_checked(file: Path) -> None:
    """Each tensor in another type, with another axis, with a row more, and missing."""
    kept = file.read_bytes()
    _, tensors = contents_of(file)
    for name in tensors:
        changes = {
            "type": lambda value: value.astype(np.int64),
            "shape": lambda value: value[..., None],
            "rows": lambda value: np.concatenate([value, value[-1:]]),
            "missing": None,
        }
        for change, made in changes.items():
            file.write_bytes(kept)

            def replace(_: Any, tensors: dict[str, Any], name: str = name, made: Any = made) -> None:
                value = tensors.pop(name)
                if made is not None:
                    tensors[name] = np.ascontiguousarray(made(value))

            forge(file, replace)
            with pytest.raises(BundleError) as error:
                load(file)
            kind, _, number = name.partition(".")
            # More voxels than features is an error of the features, more triples than rows one of the rows.
            counted = {"coords": "feats", "triples": "rows"}.get(kind, kind) if change == "rows" else kind
            assert f"{counted}.{number} must" in str(error.value) or f"'{name}'" in str(error.value), (name, change)


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("coords.0", (0, 0), -1, "coords.0 must have batch indices of at least 0, not -1"),
        ("coords.0", 1, "first", "coords.0 must hold each voxel once"),
        ("coords.1", (0, 1), 99, "coords.1 must equal coords.0"),
        ("coords.2", (0, 1), 99, "coords.2 must be floor(coords.1 / stride), each once, sorted"),
        ("triples.0", (5, 0), 27, "triples.0 must have elements from 0 to 26, not 27"),
        ("triples.0", (5, 1), -1, "triples.0 must have inputs from 0 to "),
        ("triples.0", (5, 2), 9999, "triples.0 must have outputs from 0 to "),
        ("triples.1", 1, "first", "triples.1 must be in order of element, then output, each once"),
        ("triples.0", (0, 1), "other", "triples.0 must name inputs at the places of their outputs plus the offsets"),
        ("rows.0", (0, 0), "other", "rows.0 must be the rows of feats.0 that triples.0 names"),
    ],
)
def test_wrong_numbers_are_refused(file: Path, name: str, place: Any, value: Any, message: str) -> None:
    def change(_: Any, tensors: dict[str, Any]) -> None:
        tensor = tensors[name]
        tensor[place] = tensor[0] if value == "first" else tensor[place] ^ 1 if value == "other" else value

    forge(file, change)
    with pytest.raises(BundleError, match=re.escape(f"{file}: {message}")):
        load(file)


def test_a_triple_across_batches_is_refused(file: Path, vectors: SparseVectors) -> None:
    """An input at the same place of another batch."""
    rows = {tuple(voxel): row for row, voxel in enumerate(vectors.coords[0].tolist())}
    batch, *place = next(voxel for voxel in rows if voxel[0] == 0 and (2, *voxel[1:]) in rows)
    one, other = rows[(batch, *place)], rows[(2, *place)]

    def change(_: Any, tensors: dict[str, Any]) -> None:
        inputs = tensors["triples.0"][:, 1]
        inputs[np.flatnonzero(inputs == one)[0]] = other

    forge(file, change)
    with pytest.raises(BundleError, match=r"triples\.0 must name inputs at the places of their outputs"):
        load(file)


def test_weights_that_break_their_pattern_are_refused(file: Path) -> None:
    forge(file, lambda header, _: put(header, ("layers", 1, "pattern"), "2:4"))
    with pytest.raises(BundleError, match=r"kernel\.1 must keep at most 2:4 along its input channels"):
        load(file)


def test_layers_must_fit_each_other(file: Path) -> None:
    kept = file.read_bytes()
    forge(file, lambda header, _: put(header, ("layers", 1, "in_channels"), 9))
    with pytest.raises(BundleError, match=r"layers\[1\]\.in_channels must be 8, the channels before it, not 9"):
        load(file)
    file.write_bytes(kept)
    forge(file, lambda header, _: put(header, ("layers", 0, "stride"), [2, 1, 1]))
    with pytest.raises(BundleError, match=r"layers\[0\]\.stride must be 1 where outputs are the same"):
        load(file)
    file.write_bytes(kept)
    forge(file, lambda header, _: put(header, ("layers", 0, "size"), [17, 17, 17]))
    with pytest.raises(BundleError, match=r"layers\[0\]\.size must have at most 4096 elements, not 4913"):
        load(file)


def test_a_damaged_file_is_refused(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(BundleError, match="the file is damaged"):
        load(file)
