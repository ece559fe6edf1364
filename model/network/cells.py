"""Recurrent cells: what the host computes of the sums of a step, in IEEE operations in a fixed order.

A step of a cell reads two sums for each gate, a of the step's input and b of the state h before it (each with the bias
of its layer). The host keeps what the cell remembers beside h in float64. As in torch:

    lstm        i, f, o = sigmoid(a + b); g = tanh(a + b); c' = f * c + i * g; h' = o * tanh(c')    gates i, f, g, o
    gru         r, z = sigmoid(a + b); n = tanh(a + r * b); h' = (1 - z) * n + z * h                gates r, z, n
    rnn_tanh    h' = tanh(a + b)
    rnn_relu    h' = max(a + b, 0)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.portable import sigmoid, tanh

Floats = NDArray[np.float64]

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""The cells' names in files, and how many sums each has for a value of h."""


@dataclass(frozen=True, eq=False)
class State:
    """After a step: `hidden` is h, and `memory` c (of an LSTM; else h again), images x hidden values."""

    hidden: Floats
    memory: Floats


def advance(cell: str, inputs: NDArray[Any], recurrent: NDArray[Any], before: State) -> State:
    """A step of a cell, from the sums of its input and of the state (each images x gates * hidden values)."""
    a, b = (np.split(part.astype(np.float64), GATES[cell], axis=1) for part in (inputs, recurrent))
    if cell == "lstm":
        enter, forget, output = (sigmoid(a[gate] + b[gate]) for gate in (0, 1, 3))
        memory = forget * before.memory + enter * tanh(a[2] + b[2])
        return State(output * tanh(memory), memory)
    if cell == "gru":
        reset, keep = (sigmoid(a[gate] + b[gate]) for gate in (0, 1))
        new = tanh(a[2] + reset * b[2])
        hidden = (1.0 - keep) * new + keep * before.hidden
    elif cell == "rnn_tanh":
        hidden = tanh(a[0] + b[0])
    else:
        hidden = np.maximum(a[0] + b[0], 0.0)
    return State(hidden, hidden)


def errors(
    cell: str, inputs: Floats, recurrent: Floats, off: tuple[Floats, Floats], before: State, off_before: State
) -> State:
    """How far the state after a step can be from the one without errors, where the sums are `off`, and the state before
    by `off_before`. Sigmoid has at most the slope 1 / 4, tanh 1; a product x * y is off by |x| e + |y| d + d e."""
    a, b = (np.split(part, GATES[cell], axis=1) for part in (inputs, recurrent))
    off_a, off_b = (np.split(part, GATES[cell], axis=1) for part in off)

    def product(one: Floats, off_one: Floats, other: Floats, off_other: Floats) -> Floats:
        return np.abs(one) * off_other + np.abs(other) * off_one + off_one * off_other

    if cell == "lstm":
        gates = [part + more for part, more in zip(a, b, strict=True)]
        off_gates = [part + more for part, more in zip(off_a, off_b, strict=True)]
        enter, forget, output = (sigmoid(gates[gate]) for gate in (0, 1, 3))
        new, off_new = tanh(gates[2]), np.minimum(off_gates[2], 2)
        off_enter, off_forget, off_output = (np.minimum(off_gates[gate] / 4, 1) for gate in (0, 1, 3))
        memory = forget * before.memory + enter * new
        off_memory = product(forget, off_forget, before.memory, off_before.memory) + product(
            enter, off_enter, new, off_new
        )
        return State(product(output, off_output, tanh(memory), np.minimum(off_memory, 2)), off_memory)
    if cell == "gru":
        reset, keep = (sigmoid(a[gate] + b[gate]) for gate in (0, 1))
        off_reset, off_keep = (np.minimum((off_a[gate] + off_b[gate]) / 4, 1) for gate in (0, 1))
        new = tanh(a[2] + reset * b[2])
        off_new = np.minimum(off_a[2] + product(reset, off_reset, b[2], off_b[2]), 2)
        found = product(1 - keep, off_keep, new, off_new) + product(keep, off_keep, before.hidden, off_before.hidden)
    else:
        found = off_a[0] + off_b[0]
    return State(found, found)
