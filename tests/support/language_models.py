"""Small language models of characters, and text that they read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeroskip.model.cores import load_core
from zeroskip.model.data.text import CHARACTERS, encode
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.settings import EieSettings
from zeroskip.model.networks import gpt, lstm
from zeroskip.model.networks.lstm import Lstm

LENGTH = 6
TEXT = "the cat sat on the mat, and the dog sat on the log.\n" * 3

GEOMETRY = EieGeometry(pes=4, entry_words=4096, pointers=4096, activation_rows=128, layers=32)
"""That of the other tests of tokens on the RTL, so that it is built once."""


class Backwards(Lstm):
    """It reads the text from its end."""

    def __init__(self) -> None:
        super().__init__(8, len(CHARACTERS))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flip(1)).flip(1)


def language_model(name: str) -> nn.Module:
    """A small one with weights that matter."""
    torch.manual_seed(3)
    makers = {
        "gpt": lambda: gpt(width=8, blocks=1, heads=2, tokens=LENGTH),
        "lstm": lambda: lstm(width=8),
        "backwards": Backwards,
    }
    network = makers[name]()
    for value in network.parameters():
        nn.init.normal_(value, 0, 0.4)
    return network.eval()


def compiled_model(name: str, core: str) -> Any:
    """The same, compiled for a core."""
    inputs = encode(TEXT, "text")[: 24 * LENGTH].reshape(24, LENGTH).astype(np.float32)
    settings = EieSettings(geometry=GEOMETRY, fit=()) if core == "eie" else load_core(core).settings_type()
    return load_core(core).compile(language_model(name), inputs, settings)
