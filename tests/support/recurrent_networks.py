"""Small networks with recurrent layers, each written as a user would."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS, WIDTH = 7, 5

Forward = Callable[["Parts", Tensor], Tensor]


class Parts(nn.Module):
    """Layers for sequences of 7 steps of 5 values, and a forward() that combines some of them."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.lstm, self.deep = nn.LSTM(5, 6, batch_first=True), nn.LSTM(5, 4, 2, batch_first=True, bias=False)
        self.gru, self.both = nn.GRU(5, 6, batch_first=True), nn.GRU(5, 3, 2, batch_first=True, bidirectional=True)
        self.rnn = nn.RNN(5, 6, batch_first=True)
        self.relu_rnn = nn.RNN(5, 6, nonlinearity="relu", batch_first=True)
        self.conv, self.norm = nn.Conv1d(5, 5, 3, padding=1), nn.LayerNorm(6)
        self.words = nn.Embedding(9, 5)
        self.head, self.head4 = nn.Linear(6, 3), nn.Linear(4, 3)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def _states(m: Parts, x: Tensor) -> Tensor:
    """With the first state given, as zeros."""
    zeros = torch.zeros(1, x.size(0), 6)
    _, (state, _) = m.lstm(x, (zeros, zeros))
    return m.head(state[-1])


def _both(m: Parts, x: Tensor) -> Tensor:
    _, state = m.both(x)
    return m.head(torch.cat([state[-2], state[-1]], dim=1))


NETWORKS: dict[str, Forward] = {
    "LSTM": lambda m, x: m.head(m.lstm(x)[0][:, -1]),
    "its last state": _states,
    "two layers": lambda m, x: m.head4(m.deep(x)[0]),
    "GRU": lambda m, x: m.head(m.gru(x)[0]).mean(1),
    "both directions": _both,
    "states of both directions": lambda m, x: m.head(m.both(x)[0]),
    "last state of a GRU": lambda m, x: m.head(m.gru(x)[1].squeeze(0)),
    "tanh": lambda m, x: m.head(m.rnn(x)[0][:, -1]),
    "ReLU": lambda m, x: m.head(m.relu_rnn(x)[0][:, -1]),
    "convolution before it": lambda m, x: m.head(
        m.norm(m.lstm(F.relu(m.conv(x.transpose(1, 2))).transpose(1, 2))[0])[:, -1]
    ),
    "RNN alone": lambda m, x: m.rnn(x)[0],
    "language model": lambda m, x: m.head(F.relu(m.lstm(m.words(x))[0])),
}
"""The forward() of each network, by what it is."""


def network(name: str) -> Parts:
    torch.manual_seed(len(name))
    return Parts(NETWORKS[name]).eval()


def sequences(name: str, count: int = 24) -> Tensor:
    """Inputs of a network: (count, 7, 5), or whole numbers (count, 7), as float32."""
    generator = torch.Generator().manual_seed(5)
    if name == "language model":
        return torch.randint(9, (count, STEPS), generator=generator).float()
    return torch.randn(count, STEPS, WIDTH, generator=generator)
