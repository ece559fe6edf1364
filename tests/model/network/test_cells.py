"""Recurrent cells in plain float arithmetic: those of torch, and the bounds of their errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.network.cells import GATES, State, advance, errors

HIDDEN, IMAGES = 4, 50


def sums(seed: int, cell: str) -> tuple[NDArray[np.float64], NDArray[np.float64], State]:
    rng = np.random.default_rng(seed)
    inputs, recurrent = rng.normal(0, 2, (2, IMAGES, GATES[cell] * HIDDEN))
    hidden, memory = rng.uniform(-1, 1, (2, IMAGES, HIDDEN))
    return inputs, recurrent, State(hidden, memory if cell == "lstm" else hidden)


@pytest.mark.parametrize("cell", GATES)
def test_a_step_is_that_of_torch(cell: str) -> None:
    """A cell of torch whose weights are one leaves the sums as they are: they are its inputs and states."""
    kinds = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}
    layer = kinds[cell](6, HIDDEN).double() if cell in kinds else nn.RNNCell(6, HIDDEN, nonlinearity=cell[4:]).double()
    rng = torch.Generator().manual_seed(0)
    given, hidden, memory = (torch.randn(IMAGES, size, generator=rng).double() for size in (6, HIDDEN, HIDDEN))
    with torch.no_grad():
        a = given @ layer.weight_ih.T + layer.bias_ih
        b = hidden @ layer.weight_hh.T + layer.bias_hh
        if cell == "lstm":
            wanted, left = layer(given, (hidden, memory))
        else:
            wanted = left = layer(given, hidden)
    before = State(hidden.numpy(), memory.numpy() if cell == "lstm" else hidden.numpy())
    found = advance(cell, a.numpy(), b.numpy(), before)
    assert np.allclose(found.hidden, wanted, rtol=0, atol=1e-14)
    assert np.allclose(found.memory, left, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("size", [1e-4, 0.01, 0.3])
def test_no_error_is_larger_than_the_bound(cell: str, size: float) -> None:
    """Errors of all signs, up to their own bounds."""
    inputs, recurrent, before = sums(1, cell)
    rng = np.random.default_rng(2)
    off_a, off_b = (np.abs(rng.normal(0, size, inputs.shape)) for _ in range(2))
    off_h, off_c = (np.abs(rng.normal(0, size, before.hidden.shape)) for _ in range(2))
    off_before = State(off_h, off_c if cell == "lstm" else off_h)
    exact = advance(cell, inputs, recurrent, before)
    bound = errors(cell, inputs, recurrent, (off_a, off_b), before, off_before)
    largest = 0.0
    for _ in range(200):
        signs = [rng.choice([-1.0, 1.0], off.shape) for off in (off_a, off_b, off_h, off_c)]
        hidden = before.hidden + signs[2] * off_h
        memory = before.memory + signs[3] * off_c if cell == "lstm" else hidden
        moved = advance(cell, inputs + signs[0] * off_a, recurrent + signs[1] * off_b, State(hidden, memory))
        assert np.all(np.abs(moved.hidden - exact.hidden) <= bound.hidden + 1e-12)
        assert np.all(np.abs(moved.memory - exact.memory) <= bound.memory + 1e-12)
        largest = max(largest, float(np.max(np.abs(moved.hidden - exact.hidden) / bound.hidden)))
    # It is no empty bound.
    assert largest > 0.2
