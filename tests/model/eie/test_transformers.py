"""Attention, normalisation and embeddings on the golden model of the array: close to torch, and kept in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.forging import forge
from support.on_the_array import assert_close, assert_kept, compiled
from support.transformers import NETWORKS, network, tokens
from torch import nn

from zeroskip.model.eie.bundle import load, save
from zeroskip.model.eie.compiler import compile_network
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.container import BundleError
from zeroskip.model.network.fold import fold


@pytest.mark.parametrize("name", NETWORKS)
def test_the_golden_model_is_as_close_to_torch_as_stated(name: str) -> None:
    assert_close(*compiled(network(name), tokens(name)), tokens(name), within=0.01)


@pytest.mark.parametrize("name", ["vision transformer", "GPT", "scaled queries"])
def test_files_keep_transformers(name: str, tmp_path: Path) -> None:
    _, made = compiled(network(name), tokens(name))
    assert_kept(made, tokens(name), tmp_path / "network.zs")


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
    _, made = compiled(network("GPT"), tokens("GPT"))
    save(made, tmp_path / "network.zs")
    forge(tmp_path / "network.zs", change)
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
