"""How many samples choose the fraction bits: many where that is quick, fewer for a large network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.eie import core
from zeroskip.model.eie.core import CALIBRATION, CORE
from zeroskip.model.eie.settings import EieSettings


def _top_seen(module: nn.Module, place: int, shape: tuple[int, ...]) -> bool:
    """Whether a large value in the sample at `place` is among those that choose the fraction bits of the inputs."""
    inputs = np.full((CALIBRATION + 1, *shape), 0.5, np.float32)
    inputs[place] = 100.0
    return CORE.compile(module, inputs, EieSettings(balance_load=False)).input_fraction < 10


def test_a_small_network_is_calibrated_on_5_000_samples() -> None:
    torch.manual_seed(0)
    module = nn.Linear(4, 3, bias=False)
    assert _top_seen(module, CALIBRATION - 1, (4,))
    assert not _top_seen(module, CALIBRATION, (4,))


def test_a_large_one_is_calibrated_on_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 12 multiplications a sample were many: 600 samples take 7,200 of them."""
    module = nn.Linear(4, 3, bias=False)
    monkeypatch.setattr(core, "MULTIPLICATIONS", 7_200)
    assert _top_seen(module, 599, (4,))
    assert not _top_seen(module, 600, (4,))
    monkeypatch.setattr(core, "MULTIPLICATIONS", 1)
    assert _top_seen(module, core.LEAST - 1, (4,))
    assert not _top_seen(module, core.LEAST, (4,))
