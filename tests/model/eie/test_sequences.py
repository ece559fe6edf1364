"""Sequences and tokens on the golden model of the array: close to torch, and kept in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.on_the_array import assert_close, assert_kept, compiled
from support.sequences import NETWORKS, network, sequences

from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import quantise_inputs
from zeroskip.model.eie.shared import SharedOperation


def made_of(name: str, *, zeros: slice | None = None, **options: Any) -> tuple[list[SharedOperation], EieNetwork]:
    """`zeros` are outputs of the layer `back` that have one weight."""
    module = network(name)
    if zeros is not None:
        module.back.weight.data[zeros, 1:] = 0
    return compiled(module, sequences(name), **options)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_golden_model_is_as_close_to_torch_as_stated(name: str) -> None:
    assert_close(*made_of(name), sequences(name), within=0.004)


@pytest.mark.parametrize("name", ["convolutions", "mixer", "heads"])
def test_files_keep_sequences(name: str, tmp_path: Path) -> None:
    _, made = made_of(name)
    assert_kept(made, sequences(name), tmp_path / "network.zs")


def test_balance_keeps_the_outputs_of_each_token() -> None:
    """The heavy rows would all be those of one PE."""
    _, plain = made_of("linear", pes=2, zeros=slice(1, None, 2))
    _, balanced = made_of("linear", pes=2, zeros=slice(1, None, 2), balance_load=True)
    assert not np.array_equal(balanced.order, plain.order)
    quantised = quantise_inputs(plain, sequences("linear").numpy())[0]
    assert np.array_equal(golden.outputs(balanced, quantised), golden.outputs(plain, quantised))
