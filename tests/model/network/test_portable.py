"""Functions of plain float arithmetic, against those of the mathematics library."""

from __future__ import annotations

import hashlib

import numpy as np

from zeroskip.model.network.portable import exp, product, sigmoid, tanh, total

SMALL = np.ldexp(1.0, -np.arange(40))
VALUES = np.concatenate([np.arange(-40 * 1024, 40 * 1024) / 1024, SMALL, -SMALL])


def test_they_are_the_functions() -> None:
    assert np.max(np.abs(exp(VALUES) / np.exp(VALUES) - 1)) < 2.0**-51
    assert np.max(np.abs(sigmoid(VALUES) * (1 + np.exp(-VALUES)) - 1)) < 2.0**-50
    assert np.max(np.abs(tanh(VALUES) - np.tanh(VALUES)) / np.maximum(np.abs(np.tanh(VALUES)), 1e-300)) < 2.0**-42
    assert (exp(np.array([-1e9]))[0], exp(np.array([0.0]))[0]) == (0.0, 1.0)


def test_their_bits_are_those_of_every_machine() -> None:
    """A hash of all results: another machine, or another numpy, must give the same."""
    found = b"".join(function(VALUES).tobytes() for function in (exp, sigmoid, tanh))
    assert hashlib.sha256(found).hexdigest() == "45040a47046bdb44dfe0009e6bdbc846f2ff810eba6187ce72423ac8e5e44b71"


def test_sums_have_an_order() -> None:
    """By hand: 2**53 + 1 + 1 is 2**53 where each one is added alone, and 1 + 1 + 2**53 is not."""
    assert total(np.array([[2.0**53, 1, 1], [1, 1, 2.0**53]])).tolist() == [[2.0**53], [2.0**53 + 2]]
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 5, 4))
    assert np.allclose(product(one, other), one @ other)
