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
from zeroskip.model.networks import gpt

LENGTH = 6
TEXT = "the cat sat on the mat, and the dog sat on the log.\n" * 3

GEOMETRY = EieGeometry(pes=4, entry_words=4096, pointers=4096, activation_rows=128, layers=32)
"""That of the other tests of tokens on the RTL, so that it is built once."""


class Recurrent(nn.Module):
    """A character-level LSTM, as torch's own example of a word language model writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(CHARACTERS), 8)
        self.lstm, self.head = nn.LSTM(8, 8, batch_first=True), nn.Linear(8, len(CHARACTERS))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(x.long()))[0])


class Backwards(Recurrent):
    """It reads the text from its end."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(x.long().flip(1)))[0].flip(1))


def language_model(name: str) -> nn.Module:
    """ "gpt", or one of the classes here, with weights that matter."""
    torch.manual_seed(3)
    network = gpt(width=8, blocks=1, heads=2, tokens=LENGTH) if name == "gpt" else globals()[name]()
    for value in network.parameters():
        nn.init.normal_(value, 0, 0.4)
    return network.eval()


def compiled_model(name: str, core: str) -> Any:
    """The same, compiled for a core."""
    inputs = encode(TEXT, "text")[: 24 * LENGTH].reshape(24, LENGTH).astype(np.float32)
    settings = EieSettings(geometry=GEOMETRY, fit=()) if core == "eie" else load_core(core).settings_type()
    return load_core(core).compile(language_model(name), inputs, settings)
