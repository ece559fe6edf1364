"""Small networks of sequences and tokens, each written as a user would, for the tests of what reads and runs them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, CHANNELS = 12, 4

Forward = Callable[["Parts", Tensor], Tensor]


class Parts(nn.Module):
    """Layers for sequences of 12 tokens of 4 values, and a forward() that combines some of them."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(4, 6, 3, padding=1), nn.Conv1d(6, 6, 3, padding=2, dilation=2, bias=False)
        self.depth, self.point = nn.Conv1d(6, 6, 3, groups=6), nn.Conv1d(6, 4, 1)
        self.down = nn.Conv1d(4, 6, 4, stride=2, padding=1)
        self.bn_a, self.bn_b = nn.BatchNorm1d(6), nn.BatchNorm1d(6)
        self.up, self.back, self.mix = nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(12, 12)
        self.fc4, self.fc6, self.fc8, self.long = nn.Linear(4, 3), nn.Linear(6, 3), nn.Linear(8, 3), nn.Linear(48, 3)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def _convolutions(m: Parts, x: Tensor) -> Tensor:
    """Sequences (n, channels, length)."""
    x = F.max_pool1d(F.relu(m.bn_a(m.a(x))), 2)
    x = F.relu(m.bn_b(m.b(x)))
    return m.fc6(F.adaptive_avg_pool1d(x, 1).squeeze(-1))


def _residual(m: Parts, x: Tensor) -> Tensor:
    x = F.relu(m.a(x))
    return m.fc6((x + m.b(F.silu(x))).mean(-1))


def _mixer(m: Parts, x: Tensor) -> Tensor:
    """Tokens (n, length, channels): a layer over the tokens, and one over the channels (MLP-Mixer)."""
    x = x + m.mix(x.transpose(1, 2)).transpose(1, 2)
    x = x + m.back(F.relu(m.up(x)))
    return m.fc4(x.mean(dim=1))


def _branches(m: Parts, x: Tensor) -> Tensor:
    one, other = m.up(x).chunk(2, dim=-1)
    return m.long(torch.cat([one * other, x[:, :6]], dim=1)[:, 3:15].flatten(1))


CHANNELS_FIRST: dict[str, Forward] = {
    "convolutions": _convolutions,
    "residual": _residual,
    "separable": lambda m, x: m.fc4(m.point(F.relu(m.depth(m.a(x)))).mean(2)),
    "strides": lambda m, x: m.fc6(F.avg_pool1d(m.bn_a(m.down(x)), 3, stride=3).flatten(1).view(-1, 6, 2)[:, :, 1]),
    "batch normalisation, then ReLU": lambda m, x: m.fc6(F.relu(m.bn_a(F.relu(m.a(x)))).mean(2)),
    "a gate": lambda m, x: m.fc6(((y := m.a(x)) * torch.sigmoid(m.b(y).mean(2, keepdim=True))).mean(2)),
    "concatenation": lambda m, x: torch.cat([m.a(x), m.point(m.b(m.a(x))), x], 1).flatten(1),
    "addition of the last value": lambda m, x: (m.a(x) + m.a(x)[:, :, -1:]).flatten(1),
    "tokens of a convolution": lambda m, x: m.fc8(m.up(m.point(m.a(x)).transpose(1, 2)).relu().mean(1)),
}
TOKENS: dict[str, Forward] = {
    "linear": lambda m, x: m.back(F.relu(m.up(x))),
    "mixer": _mixer,
    "branches": _branches,
    "first token": lambda m, x: m.fc8(m.up(x)[:, 0]),
    "last token": lambda m, x: m.fc8(F.gelu(m.up(x))[:, -1]),
    "flattened": lambda m, x: m.long(F.relu(m.up(x)[:, :, 2:6]).flatten(1)),
    "heads": lambda m, x: m.fc8(m.up(x).view(len(x), 12, 2, 4).transpose(1, 2).mean(2).flatten(1)),
    "convolution of tokens": lambda m, x: m.fc6(m.a(m.back(m.up(x)).permute(0, 2, 1)).mean(-1)),
    "repeated": lambda m, x: m.back(m.up(x)[:, ::4].repeat_interleave(2, dim=1).flip(1)),
}
NETWORKS = {**CHANNELS_FIRST, **TOKENS}
"""The forward() of each network, by what it is."""


def network(name: str) -> Parts:
    """A network of NETWORKS in eval mode, with statistics that matter."""
    torch.manual_seed(len(name))
    module = Parts(NETWORKS[name])
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 1.5)
    return module.eval()


def sequences(name: str, count: int = 24) -> Tensor:
    """Inputs (count, channels, length) or (count, length, channels) of a network."""
    values = torch.randn(count, CHANNELS, LENGTH, generator=torch.Generator().manual_seed(5))
    return values if name in CHANNELS_FIRST else values.transpose(1, 2).contiguous()
