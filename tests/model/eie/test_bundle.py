"""Network bundles: what is written is read again, and what is wrong with a file is told by name."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from support.forging import contents_of, forge
from support.networks import random_inputs, random_network, small_conv_network

from zeroskip.model.eie import bundle, golden
from zeroskip.model.eie.bundle import BundleError, FitError, check_fit
from zeroskip.model.eie.geometry import EieGeometry


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    network = random_network(np.random.default_rng(1), EieGeometry(pes=4), (70, 40, 9), 0.2)
    bundle.save(network, tmp_path / "network.zs")
    return tmp_path / "network.zs"


def test_round_trip(tmp_path: Path) -> None:
    for seed, geometry in enumerate(
        [EieGeometry(pes=4), EieGeometry(pes=1, index_bits=8, entries_per_word=2), EieGeometry(pes=64, code_bits=3)]
    ):
        network = random_network(np.random.default_rng(seed), geometry, (70, 40, 9), 0.2)
        bundle.save(network, tmp_path / "network.zs")
        read = bundle.load(tmp_path / "network.zs")
        assert (read.geometry, read.layers) == (network.geometry, network.layers)
        for name in ("entries", "pointers", "codebooks", "order"):
            assert np.array_equal(getattr(read, name), getattr(network, name))
        for index in range(2):
            assert np.array_equal(read.weights(index), network.weights(index))
    assert [path.name for path in tmp_path.iterdir()] == ["network.zs"]


def test_which_layers_have_a_relu_is_read_from_the_file(tmp_path: Path) -> None:
    """Layers with and without one and with and without a bias, in every order: flags and outputs are the saved ones."""
    rng = np.random.default_rng(3)
    network = random_network(rng, EieGeometry(pes=4), (20, 16, 12, 9, 7), 0.6)
    inputs = random_inputs(rng, 8, 20, [1.0])
    seen = set()
    for flags in itertools.product((False, True), repeat=4):
        layers = tuple(dataclasses.replace(layer, relu=relu) for layer, relu in zip(network.layers, flags, strict=True))
        changed = dataclasses.replace(network, layers=layers)
        bundle.save(changed, tmp_path / "network.zs")
        read = bundle.load(tmp_path / "network.zs")
        assert [layer.relu for layer in read.layers] == list(flags)
        outputs = golden.outputs(read, inputs)
        assert np.array_equal(outputs, golden.outputs(changed, inputs))
        seen.add(outputs.tobytes())
    assert len(seen) == 16, "every flag makes a difference"


def test_pointers_up_to_the_end_of_the_file(saved: Path) -> None:
    """The last entry of the file can be used, the one after it cannot."""
    capacity = contents_of(saved)[1]["entries"].shape[1] * 8
    data = saved.read_bytes()
    for last, refused in ((capacity, False), (capacity + 1, True), (capacity + 8, True), (2 * capacity, True)):
        saved.write_bytes(data)
        forge(saved, put("tensors", "pointers", (2, -1), value=last))
        message = ""
        try:
            bundle.load(saved)
        except BundleError as error:
            message = str(error)
        assert (f"pointers must not exceed the {capacity} entries of the file, not {last}" in message) == refused


def test_every_flipped_bit_is_found(saved: Path) -> None:
    data = saved.read_bytes()
    for position in np.random.default_rng(2).choice(len(data), 200, replace=False).tolist():
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        saved.write_bytes(damaged)
        with pytest.raises(BundleError, match=re.escape(str(saved))):
            bundle.load(saved)


def test_every_cut_is_found(saved: Path) -> None:
    data = saved.read_bytes()
    for length in [0, 1, 7, 8, 100, len(data) // 2, len(data) - 1]:
        saved.write_bytes(data[:length])
        with pytest.raises(BundleError, match="not a complete safetensors file"):
            bundle.load(saved)


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(header: dict[str, Any], tensors: dict[str, Any]) -> None:
        place: Any = {"header": header, "tensors": tensors}
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("header", "version", value=1), "version must be 2 to 4, not 1: compile the network again"),
        (put("header", "core", value="mma"), "core must be 'eie', not 'mma'"),
        (put("header", "geometry", "pes", value=3), "geometry: pes must be a power of two from 1 to 256, not 3"),
        (put("header", "geometry", "pes", value=4.0), "geometry: pes must be an integer, not 4.0"),
        (put("header", "geometry", value={}), "geometry must have the fields"),
        (put("header", "geometry", "more", value=1), "geometry must have the fields"),
        (put("header", "layers", value=[]), "layers must be a list of at least one, not []"),
        (put("header", "layers", 0, "inputs", value=71), "pointers must be 4 x 115, not of shape (4, 114)"),
        (put("header", "layers", 1, "inputs", value=39), "layers[1].inputs must be the 40 outputs before it, not 39"),
        (put("header", "layers", 0, "inputs", value="70"), "layers[0].inputs must be an integer, not '70'"),
        (put("header", "layers", 0, "relu", value=1), "layers[0].relu must be true or false, not 1"),
        (put("header", "layers", 0, "outputs", value=0), "layers[0].outputs must be 1 to 128, not 0"),
        (
            put("header", "layers", 0, "input_fraction", value=15),
            "layers[0].input_fraction must be 0 to 14 where the layer has a bias, not 15",
        ),
        (
            put("header", "layers", 0, "input_fraction", value=-1),
            "layers[0].input_fraction must be 0 to 14 where the layer has a bias, not -1",
        ),
        (put("header", "layers", 0, "weight_fraction", value=99), "layers[0] must round away 0 to 31 bits, not 99"),
        (
            put("header", "layers", 1, "input_fraction", value=7),
            "layers[1].input_fraction must be the output_fraction 8 before it, not 7",
        ),
        (put("tensors", "more", value=np.zeros(1)), "tensors must be ['codebooks', 'entries', 'order', 'pointers']"),
        (
            put("tensors", "codebooks", value=np.zeros((3, 16), np.int16)),
            "codebooks must be int16 of 2 x 16, not int16 of (3, 16)",
        ),
        (
            put("tensors", "pointers", value=np.zeros((4, 114), np.int64)),
            "pointers must be uint32 of 4 x any, not int64 of (4, 114)",
        ),
        (put("tensors", "order", (0,), value=1), "order must name each of the 9 outputs once"),
        (put("tensors", "codebooks", (1, 0), value=5), "codebooks[:, 0] must be zero, not [0, 5]"),
        (put("tensors", "pointers", (2, -1), value=10**6), "pointers must not exceed the"),
        (
            put("tensors", "pointers", (2, 50), value=0),
            "pointers must not decrease, as they do after number 49 of PE 2",
        ),
        (
            put("header", "geometry", "pointers", value=64),
            "the network does not fit: pointers is 64 and 114 are needed",
        ),
        (
            lambda header, tensors: (
                header["layers"][1].update(outputs=2),
                tensors.update(order=np.arange(2, dtype="u4")),
            ),
            "entries and pointers: entries must lie within 2 outputs",
        ),
    ],
)
def test_wrong_fields(saved: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], message: str) -> None:
    forge(saved, change)
    with pytest.raises(BundleError, match=re.escape(message)):
        bundle.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("header", "stages", value=[]), "stages must be a list of at least one stage, not []"),
        (
            put("header", "stages", 0, "kind", value="loop"),
            "stages[0]: kind must be one of linear, conv, max pool",
        ),
        (put("header", "stages", 0, "more", value=1), "stages[0]: a conv stage must have the fields"),
        (put("header", "stages", 0, "height", value=0), "stages[0]: height must be at least 1, not 0"),
        (put("header", "stages", 0, "height", value=9.0), "stages[0]: height must be an integer, not 9.0"),
        (
            put("header", "stages", 0, "kernel", value=[3]),
            "stages[0]: kernel must be two integers of at least 1",
        ),
        (put("header", "stages", 0, "groups", value=2), "stages[0]: groups must divide the 3 channels, not be 2"),
        (put("header", "stages", 0, "layer", value=1), "stages[0] must continue with layer 0 of 4, not use 1 to 1"),
        (put("header", "stages", 0, "kernel", value=[11, 11]), "stages[0]: kernel 11 x 11 must fit into the 9 x 8"),
        (
            put("header", "stages", 0, "kernel", value=[2, 3]),
            "stages[0] takes 18 values a start (tile 1 x 1), but layers[0] 27",
        ),
        (put("header", "stages", 0, "tile", value=[2, 1]), "stages[0]: tile must divide the 5 x 8 positions, not be 2"),
        (
            put("header", "stages", 0, "tile", value=[1, 2]),
            "stages[0] takes 36 values a start (tile 1 x 2), but layers[0] 27",
        ),
        (put("header", "stages", 1, "padding", value=[2, 0]), "stages[1]: padding must be at most half the kernel"),
        (
            put("header", "stages", 1, "width", value=9),
            "stages[1] takes 270 values an image, but the step before",
        ),
        (put("header", "stages", 3, "last", value=4), "stages[3] must continue with layer 2 of 4, not use 2 to 4"),
        (put("header", "stages", 3, "last", value=2), "stages must use all 4 layers, not 3 of them"),
    ],
)
def test_wrong_stages(tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], message: str) -> None:
    network = small_conv_network(np.random.default_rng(4), EieGeometry(pes=4))
    path = tmp_path / "network.zs"
    bundle.save(network, path)
    assert bundle.load(path).stages == network.stages
    forge(path, change)
    with pytest.raises(BundleError, match=re.escape(message)):
        bundle.load(path)


def test_not_a_bundle(tmp_path: Path) -> None:
    save_file({"weight": np.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(BundleError, match="this safetensors file is not a compiled network"):
        bundle.load(tmp_path / "weights.safetensors")
    with pytest.raises(BundleError, match=r"missing\.zs: cannot be read: No such file or directory"):
        bundle.load(tmp_path / "missing.zs")


def test_what_would_fit() -> None:
    network = random_network(np.random.default_rng(3), EieGeometry(pes=4), (70, 400, 9), 0.9)
    entries = int(network.pointers[:, -1].max())
    words = -(-entries // 8)
    small = dataclasses.replace(network.geometry, entry_words=256)
    with pytest.raises(FitError) as caught:
        check_fit(small, network.layers, network.pointers)
    assert str(caught.value) == (
        f"the network does not fit: entry_words is 256 and {words} are needed, {words - 256} too few "
        f"({entries} entries in PE {network.pointers[:, -1].argmax()}); entry_words = 1024 would hold it "
        "(the smallest geometry: entry_words 1024, pointers 512, activation_rows 128, layers 2)"
    )
    check_fit(dataclasses.replace(small, entry_words=1024), network.layers, network.pointers)
    for field, size, need in (("pointers", 256, 71 + 1 + 401 + 1), ("activation_rows", 96, 400 // 4), ("layers", 1, 2)):
        geometry = dataclasses.replace(network.geometry, **{field: size})
        with pytest.raises(FitError, match=f"{field} is {size} and {need} are needed"):
            check_fit(geometry, network.layers, network.pointers)
