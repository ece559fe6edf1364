"""The windows in which load balancing sees what is broadcast together."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.model.eie import balance


def test_windows_begin_at_the_first_column_and_half_a_length_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a queue of 8, windows of 8 and of 16 broadcasts; columns that are broadcast half the time count half."""
    monkeypatch.setattr(balance, "WINDOWS", (1, 2))
    always = balance._Variance(np.ones(40), 8)
    assert [starts.tolist() for starts in always._starts] == [
        [0, 8, 16, 24, 32],
        [0, 4, 12, 20, 28, 36],
        [0, 16, 32],
        [0, 8, 24],
    ]
    half = balance._Variance(np.full(40, 0.5), 8)
    assert [starts.tolist() for starts in half._starts][:2] == [[0, 16, 32], [0, 8, 24]]


def test_frequencies_are_rounded_to_the_nearest() -> None:
    frequencies = np.array([0.0, 1 / 3, 2 / 3, 1.0])
    found = balance._Variance(frequencies, 8)._frequencies
    assert found.tolist() == [round(balance._FREQUENCY_UNIT * frequency) for frequency in frequencies.tolist()]
