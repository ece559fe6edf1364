"""Attention, normalisation and embeddings on the golden model of the array: close to torch, and kept in files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from support.transformers import NETWORKS, network, tokens
from torch import nn

from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork, load, save
from zeroskip.model.eie.compiler import compile_network, error_bound, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.shared import SharedOperation, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.container import BundleError, digest_of
from zeroskip.model.network.fold import fold
from zeroskip.model.network.samples import SampleForm


def compiled(name: str) -> tuple[list[SharedOperation], EieNetwork]:
    inputs = tokens(name).numpy()
    shared = share_layers(fold(network(name), tokens(name)), inputs=inputs)
    made = compile_network(shared, inputs, EieGeometry(pes=4), fit=MEMORIES)
    return shared, dataclasses.replace(made, samples=SampleForm.of(inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_golden_model_is_as_close_to_torch_as_stated(name: str) -> None:
    """Nothing saturates on the data of the calibration, so the bound holds; torch computes the same shared weights."""
    shared, made = compiled(name)
    inputs = tokens(name)
    outputs, losses = golden.outputs_and_losses(made, quantise_inputs(made, inputs.numpy())[0])
    assert sum(loss.saturated for loss in losses) == 0
    with torch.no_grad():
        wanted = to_module(shared).double()(inputs.double().flatten(1)).numpy()
    difference = np.abs(float_outputs(made, outputs) - wanted)
    assert np.all(difference <= error_bound(made, shared, inputs.numpy()) + 1e-9)
    assert difference.max() <= 0.01 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["vision transformer", "GPT", "scaled queries"])
def test_files_keep_transformers(name: str, tmp_path: Path) -> None:
    _, made = compiled(name)
    save(made, tmp_path / "network.zs")
    again = load(tmp_path / "network.zs")
    assert (again.stages, again.samples) == (made.stages, made.samples)
    quantised = quantise_inputs(again, tokens(name).numpy())[0]
    assert np.array_equal(golden.outputs(again, quantised), golden.outputs(made, quantised))


def _forged(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Writes the file with another header or other tensors, and a digest that fits them."""
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["zeroskip"])
    tensors = load_file(path)
    header.pop("digest")
    change(header, tensors)
    header["digest"] = digest_of(header, tensors)
    save_file(tensors, path, metadata={"zeroskip": json.dumps(header)})


def _place(header: dict[str, Any], kind: str) -> int:
    return next(index for index, stage in enumerate(header["stages"]) if stage["kind"] == kind)


def _field(kind: str, **fields: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, tensors: header["stages"][_place(header, kind)].update(fields)


def _tensor(kind: str, name: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(header: dict[str, Any], tensors: dict[str, Any]) -> None:
        key = f"stages.{_place(header, kind)}.{name}"
        if value is None:
            del tensors[key]
        else:
            tensors[key] = value(tensors[key])

    return change


def _fraction(kind: str, value: int, before: int = 0) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(header: dict[str, Any], tensors: dict[str, Any]) -> None:
        tensors["fractions"] = tensors["fractions"].copy()
        tensors["fractions"][_place(header, kind) + 1 - before] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_field("norm", eps=0.0), r"stages\[\d+\]: eps must be a number above 0, not 0.0"),
        (_field("norm", width=5), r"stages\[\d+\]: width must be an integer of at most 65,536 that divides the 48"),
        (_field("norm", weight=[1.0]), r"stages\[\d+\]: a norm stage must have the fields \['back', 'centred', 'eps'"),
        (_tensor("norm", "bias", None), r"stages\[\d+\]: bias must be float32 of 8, not None"),
        (_tensor("norm", "weight", lambda one: one * np.inf), r"stages\[\d+\]: weight must be finite numbers"),
        (_tensor("norm", "weight", lambda one: one.astype(np.float64)), r"weight must be float32 of 8, not float64 of"),
        (_tensor("softmax", "mask", lambda one: one * 0), r"mask must be zeros and ones, at least one of them in each"),
        (_tensor("softmax", "mask", lambda one: one[:5]), r"mask must have rows that divide the 12, not 5"),
        (_field("softmax", scale=-1.0), r"stages\[\d+\]: scale must be a number above 0, not -1.0"),
        (_fraction("softmax", 31), r"fractions\[\d+\] must be at most 30, by what stages\[\d+\] reads, not 31"),
        (_fraction("softmax", -1), r"fractions\[\d+\] must be at least 0, those of a softmax, not -1"),
        (_field("matrix product", depth=3), r"stages\[\d+\] takes 36 values an image, but value \d+, which it reads"),
        (_field("matrix product", scale=0.0), r"stages\[\d+\]: scale must be a number other than 0, not 0.0"),
        (_fraction("embedding", 1, before=1), r"fractions\[0\] must be 0, as stages\[0\] reads whole numbers, not 1"),
        (
            _tensor("embedding", "table", lambda one: one[:0]),
            r"table must have at least one row and one value, not the",
        ),
        (
            _tensor("scale", "shift", lambda one: one[:7]),
            r"scale and shift must be as many, and divide the 48 values, ",
        ),
        (lambda header, tensors: tensors.update(more=np.zeros(1)), "tensors must be "),
    ],
)
def test_files_that_are_wrong_are_refused(
    change: Callable[[dict[str, Any], dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    _, made = compiled("GPT")
    save(made, tmp_path / "network.zs")
    _forged(tmp_path / "network.zs", change)
    with pytest.raises(BundleError, match=message):
        load(tmp_path / "network.zs")


def test_a_vocabulary_that_does_not_fit_is_refused() -> None:
    """Of 40,000 words, of which the samples have the last."""
    module = nn.Sequential(nn.Embedding(40_000, 2), nn.Linear(2, 2))
    inputs = np.full((4, 3), 39_999, np.float32)
    with pytest.raises(
        ValueError, match=r"^the whole numbers of an embedding reach 39999, .* at most 32767 are support"
    ):
        compile_network(share_layers(fold(module, inputs)), inputs, EieGeometry(pes=4), fit=MEMORIES)
