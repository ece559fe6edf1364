"""The file of a network for the tile: it comes back as it was, and what is wrong in it is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.forging import forge
from support.tile_networks import conv, pruned

from zeroskip.model.mma import bundle as mma_bundle
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.run_network import run
from zeroskip.model.network.container import BundleError
from zeroskip.model.network.pattern import Pattern


@pytest.fixture(scope="module")
def network() -> MmaNetwork:
    return compile_network(pruned(conv(), Pattern()), (1, 12, 12), TileGeometry(generation="V100", k=4))


@pytest.fixture
def saved(network: MmaNetwork, tmp_path: Path) -> Path:
    mma_bundle.save(network, tmp_path / "network.zs")
    return tmp_path / "network.zs"


def test_round_trip(network: MmaNetwork, saved: Path) -> None:
    loaded = mma_bundle.load(saved)
    assert (loaded.geometry, loaded.layers, loaded.stages) == (network.geometry, network.layers, network.stages)
    inputs = np.random.default_rng(0).normal(size=(5, 144)).astype(np.float32)
    np.testing.assert_array_equal(run(loaded, inputs).outputs, run(network, inputs).outputs)


def test_every_damaged_byte_is_found(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    for position in np.random.default_rng(1).integers(0, len(data), 60).tolist():
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        saved.write_bytes(damaged)
        with pytest.raises(BundleError, match=re.escape(str(saved))):
            mma_bundle.load(saved)


Change = Callable[[dict[str, Any], dict[str, Any]], None]


def in_layer(index: int, **fields: Any) -> Change:
    return lambda header, _: header["layers"][index].update(fields)


def in_tensor(name: str, change: Callable[[Any], Any]) -> Change:
    def apply(_: dict[str, Any], tensors: dict[str, Any]) -> None:
        tensors[name] = change(tensors[name].copy())

    return apply


def with_value(place: Any, value: int) -> Callable[[Any], Any]:
    def apply(tensor: Any) -> Any:
        tensor[place] = value
        return tensor

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header, _: header.update(core="eie"), "core must be 'mma', not 'eie'"),
        (lambda header, _: header["geometry"].update(k=5), "geometry: k must be a multiple of keep (2), not 5"),
        (lambda header, _: header["geometry"].update(dtype="int8", out="int32", generation="A100"), "geometry.dtype"),
        (lambda header, _: header.update(layers=[]), "layers must be a list of at least one, not []"),
        (in_layer(0, relu=1), "layers[0].relu must be true or false, not 1"),
        (in_layer(1, outputs=-3), "layers[1].outputs must be 1 to 268435456, not -3"),
        (in_layer(1, pad=4), "layers[1] must have as many columns as inputs and pad together"),
        (in_layer(1, sparse=False), "tensors must be"),
        (lambda header, _: header["stages"].pop(), "stages must use all 4 layers, not 3 of them"),
        (in_tensor("values.1", lambda tensor: tensor[:, 1:].copy()), "values.1 must be uint16 of 12 x 36"),
        (in_tensor("bias.0", lambda tensor: tensor.astype(np.uint16)), "bias.0 must be uint32 of 8"),
        (in_tensor("columns.1", with_value(3, 4)), "columns.1 must name each of the 72 inputs once, and 0 pads"),
        (in_tensor("meta.1", with_value((2, 0), 0)), "meta.1 must hold codes that are legal (strict)"),
        (in_tensor("meta.1", lambda tensor: tensor[:, :1].copy()), "meta.1: "),
    ],
)
def test_wrong_fields(saved: Path, change: Change, message: str) -> None:
    forge(saved, change)
    with pytest.raises(BundleError, match=re.escape(f"{saved}: ")) as caught:
        mma_bundle.load(saved)
    assert message in str(caught.value)
