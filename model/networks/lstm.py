"""A recurrent language model of characters."""

from __future__ import annotations

from torch import Tensor, nn

from zeroskip.model.networks.seeded import seeded


def lstm(*, width: int = 600, characters: int = 96, seed: int = 0) -> nn.Module:
    """An LSTM for sequences of characters of any length, (n, tokens) to (n, tokens, characters): the scores of the
    character that follows each. 3.0 million parameters.

    With 600 inputs, 600 hidden values and the constant one, its four gates are a matrix of 1,201 x 2,400, as in NT-LSTM
    (EIE, Table III).
    """
    with seeded(seed):
        return Lstm(width, characters)


class Lstm(nn.Module):
    """One layer between an embedding and a head with weights of its own."""

    def __init__(self, width: int, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.recurrent = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, characters)

    def forward(self, x: Tensor) -> Tensor:
        # Samples are numbers in float32, as all are; compiled, they are integers already.
        states, _ = self.recurrent(self.embedding(x.long()))
        return self.head(states)
