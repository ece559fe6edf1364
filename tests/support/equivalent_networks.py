"""Small networks of layers and functions that are traced as others (zeroskip.model.network.equivalents), and of
products with tensors of the network, each written as a user would."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Forward = Callable[["Parts", Tensor], Tensor]


class Doubled(nn.Linear):
    """A layer with a forward() of its own."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight * 2, self.bias)


class Parts(nn.Module):
    """Layers for sequences of 6 steps of 4 values, and a forward() that combines some of them."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTMCell(4, 5), nn.GRUCell(4, 5)
        self.rnn, self.relu_rnn = nn.RNNCell(4, 5), nn.RNNCell(4, 5, nonlinearity="relu", bias=False)
        self.bare_lstm, self.bare_gru = nn.LSTMCell(4, 5, bias=False), nn.GRUCell(4, 5, bias=False)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.other = nn.MultiheadAttention(4, 2, batch_first=True, kdim=6, vdim=5, bias=False)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, batch_first=True), 1)
        self.whole = nn.Transformer(4, 2, 1, 1, 8, batch_first=True)
        self.queries = nn.Parameter(torch.randn(1, 3, 4))
        self.wide, self.wider = nn.Linear(4, 6), nn.Linear(4, 5)
        self.norm = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
        self.doubled = Doubled(4, 4)
        self.shrink, self.rrelu = nn.Tanhshrink(), nn.RReLU(0.1, 0.4)
        self.glu, self.pool = nn.GLU(), nn.AvgPool1d(3, 1, 1, count_include_pad=False)
        self.matrix, self.vector = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))
        self.tokens, self.kernel = nn.Parameter(torch.randn(6, 6)), nn.Parameter(torch.randn(4, 2, 3))
        self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.one = nn.Linear(4, 1)
        self.with_zeros = nn.MultiheadAttention(4, 2, batch_first=True, add_zero_attn=True)
        self.end, self.narrow = nn.Linear(5, 3), nn.Linear(2, 3)
        self.register_buffer("places", torch.tensor([0, 1, 3, 5]))
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def _lstm(m: Parts, x: Tensor) -> Tensor:
    """As in the examples of torch."""
    hidden, state = torch.zeros(x.size(0), 5), torch.zeros(x.size(0), 5)
    for step in x.split(1, dim=1):
        hidden, state = m.lstm(step.squeeze(1), (hidden, state))
    return m.end(hidden)


def _gru(m: Parts, x: Tensor) -> Tensor:
    hidden = x.new_zeros(x.size(0), 5)
    states = []
    for step in range(x.size(1)):
        hidden = m.gru(x[:, step], hidden)
        states.append(hidden)
    return m.end(torch.stack(states, 1).mean(1))


def _first_step(cell: Callable[[Parts], nn.Module]) -> Forward:
    def forward(m: Parts, x: Tensor) -> Tensor:
        found = cell(m)(x[:, 0])
        return m.end(found[0] if isinstance(found, tuple) else found)

    return forward


def _by_hand(m: Parts, x: Tensor) -> Tensor:
    """A recurrent network of layers."""
    hidden = torch.zeros(x.shape[0], 4)
    for step in range(3):
        hidden = torch.tanh(m.first(x[:, step]) + m.doubled(hidden))
    return m.head(hidden)


def _windows(m: Parts, x: Tensor) -> Tensor:
    """Attention within windows of the tokens, which become samples of their own, rolled and masked as in Swin."""
    tokens = torch.roll(m.first(x), -1, 1)
    windows = tokens.view(-1, 2, 3, 4).reshape(-1, 3, 4)
    query, key, value = (m.wide(windows)[..., :4], m.first(windows), windows)
    scores = query @ key.transpose(-2, -1) + m.tokens[:3, :3]
    mask = torch.tensor([0.0, -100.0])[:, None, None].expand(2, 3, 3).triu(1)
    scores = (scores.view(-1, 2, 3, 3) + mask).view(-1, 3, 3)
    windows = windows + torch.softmax(scores, -1) @ value
    windows = windows + m.attention(windows, windows, windows, need_weights=False)[0]
    batch = int(windows.shape[0] / 2)
    return m.head(F.layer_norm(F.gelu(windows), (4,)).view(batch, 2, 3, 4).view(batch, 6, 4).roll(1, 1))


def _distributed(m: Parts, x: Tensor) -> Tensor:
    """Each step as a sample of its own, as in language models of torch's examples."""
    batch, steps, _ = x.size()
    flat = torch.tanh(m.first(x.contiguous().view(batch * steps, -1)))
    return m.head(F.linear(flat, m.matrix) * flat).view(batch, steps, -1)


def _rms(m: Parts, x: Tensor) -> Tensor:
    """As in the models of Hugging Face."""
    hidden = m.first(x).to(torch.float32)
    variance = hidden.pow(2).mean(-1, keepdim=True)
    hidden = hidden * torch.rsqrt(variance + 1e-2)
    return m.head(m.vector * hidden.type_as(x).to(x))


def _layer_norm(m: Parts, x: Tensor) -> Tensor:
    """As in the annotated transformer: its gain comes before the division, and a number is added to the deviation."""
    given = m.first(x)
    mean, deviation = given.mean(-1, keepdim=True), given.std(-1, keepdim=True)
    return m.head(m.vector * (given - mean) / (deviation + 1e-6) + m.places)


def _channels_first(m: Parts, x: Tensor) -> Tensor:
    """As in ConvNeXt: the difference is computed twice."""
    given = m.first(x).transpose(1, 2)
    mean = given.mean(1, keepdim=True)
    variance = (given - mean).pow(2).mean(1, keepdim=True)
    normal = (given - mean) / torch.sqrt(variance + 1e-2)
    return m.head((m.vector[:, None] * normal + m.places[:, None]).transpose(1, 2))


def _groups(m: Parts, x: Tensor) -> Tensor:
    given = m.first(x).view(len(x), 2, 3, 4)
    mean, variance = given.mean((2, 3), keepdim=True), given.var((2, 3), keepdim=True, unbiased=False)
    return m.head(((given - mean) / (variance + 1e-2).sqrt()).view(len(x), 6, 4))


def _unit(norm: Callable[[Tensor], Tensor]) -> Forward:
    def forward(m: Parts, x: Tensor) -> Tensor:
        given = m.first(x)
        return m.head(given / norm(given))

    return forward


FAR_BELOW = torch.full((6, 6), -1e9).triu(1)
"""The mask of a decoder."""


def _of(function: Callable[[Tensor], Tensor]) -> Forward:
    return lambda m, x: m.head(function(m.first(x)))


NETWORKS: dict[str, Forward] = {
    "LSTMCell": _lstm,
    "GRUCell": _gru,
    "RNNCell": lambda m, x: m.end(m.rnn(x[:, 1], m.rnn(x[:, 0]))),
    "RNNCell of ReLU": lambda m, x: m.end(m.relu_rnn(x[:, 1], m.relu_rnn(x[:, 0]))),
    "LSTMCell without biases": _first_step(lambda m: m.bare_lstm),
    "GRUCell without biases": _first_step(lambda m: m.bare_gru),
    "recurrence by hand": _by_hand,
    "cross-attention": lambda m, x: m.head(m.attention(m.first(x[:, :2]), x, x)[0]),
    "attention of learned queries": lambda m, x: m.head(m.attention(m.queries.expand(len(x), -1, -1), x, x)[0]),
    "repeated queries": lambda m, x: m.head(m.attention(m.queries.repeat(len(x), 1, 1), x, x)[0]),
    "keys and values of other widths": lambda m, x: m.head(m.other(m.first(x), m.wide(x), m.wider(x))[0]),
    "decoder": lambda m, x: m.head(m.decoder(m.first(x[:, :3]), x)),
    "decoder with a mask": lambda m, x: m.head(
        m.decoder(m.first(x[:, :3]), x, tgt_mask=nn.Transformer.generate_square_subsequent_mask(3))
    ),
    "encoder and decoder": lambda m, x: m.head(m.whole(m.first(x), m.first(x[:, :2]))),
    "weight_norm": lambda m, x: m.head(F.relu(m.norm(x))),
    "a layer of its own": lambda m, x: m.head(F.relu(m.doubled(x))),
    "linear": lambda m, x: m.head(F.relu(F.linear(x, m.matrix, m.vector))),
    "matrix": lambda m, x: m.head(x @ m.matrix.T),
    "addmm": lambda m, x: m.head(torch.addmm(m.vector, x[:, 0], m.matrix)),
    "matrix of tokens": lambda m, x: m.head(torch.softmax(m.tokens, -1) @ m.first(x)),
    "vector": lambda m, x: m.head(m.first(x) * torch.softmax(torch.tanh(m.first(x)) @ m.vector, 1).unsqueeze(-1)),
    "convolution": lambda m, x: m.head(F.conv1d(x.transpose(1, 2), m.kernel, m.vector, 1, 1, 1, 2).transpose(1, 2)),
    "a constant matrix in attention": lambda m, x: m.head(m.first(x) @ m.matrix[None]),
    "GLU": lambda m, x: m.narrow(m.glu(m.first(x))),
    "gated along channels": lambda m, x: m.head(F.glu(m.first(x).repeat(1, 2, 1), 1)),
    "CELU": _of(lambda x: F.celu(x, 0.5)),
    "softshrink": _of(lambda x: F.softshrink(x, 0.3)),
    "tanhshrink": lambda m, x: m.head(m.shrink(m.first(x))),
    "logsigmoid": _of(F.logsigmoid),
    "RReLU": lambda m, x: m.head(m.rrelu(m.first(x))),
    "square": _of(torch.square),
    "cube": _of(lambda x: x**3),
    "fourth power": _of(lambda x: x.pow(4)),
    "absolute values": _of(torch.abs),
    "absolute values by Python": _of(abs),
    "power of the function": _of(lambda x: torch.pow(x, 3)),
    "a mask by where": lambda m, x: m.head(
        torch.softmax(torch.where(torch.ones(6, 4).tril() > 0, m.first(x), -torch.inf), -1)
    ),
    "greater than a buffer": lambda m, x: m.head(torch.maximum(m.first(x), m.places / 8)),
    "smaller than a buffer": lambda m, x: m.head(torch.minimum(m.places / 8, m.first(x))),
    "greater": _of(lambda x: torch.maximum(x, -x.flip(1))),
    "smaller": _of(lambda x: torch.min(x, x.flip(2))),
    "unit vectors": _of(lambda x: F.normalize(x, dim=-1)),
    "unit channels": _of(lambda x: F.normalize(x, dim=1)),
    "RMSNorm by hand": _rms,
    "RMSNorm by a power": _of(lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 1e-2) ** -0.5),
    "RMSNorm by an inverse": _of(lambda x: 1 / (x * x).mean(1, keepdim=True).add(1e-2).sqrt() * x),
    "LayerNorm by hand": _layer_norm,
    "LayerNorm of channels": _channels_first,
    "GroupNorm by hand": _groups,
    "standard scores": _of(lambda x: (x - x.mean(1, keepdim=True)) / torch.std(x, 1, keepdim=True, correction=2)),
    "divided by the norm": _unit(lambda x: x.norm(p=2, dim=-1, keepdim=True)),
    "divided by torch's norm": _unit(lambda x: torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)),
    "divided by the root of a sum": _unit(lambda x: torch.sum(x**2, 2, True).sqrt() + 1e-8),
    "smallest": lambda m, x: m.head(m.first(x).amin(1)),
    "smallest and its place": lambda m, x: m.head(m.first(x).min(1)[0]),
    "greatest by its name": lambda m, x: m.head(torch.max(m.first(x), dim=1, keepdim=True).values),
    "numbers far below": lambda m, x: m.head(torch.softmax(m.first(x) @ x.transpose(1, 2) + FAR_BELOW, -1) @ x),
    "numbers far below in attention": lambda m, x: m.head(
        m.attention(x, x, F.scaled_dot_product_attention(m.first(x), x, x, FAR_BELOW), attn_mask=FAR_BELOW)[0]
    ),
    "rolled": _of(lambda x: torch.roll(x, (1, -2), (1, 2))),
    "rolled by nothing": _of(lambda x: x.roll(6, 1)),
    "average without padding": lambda m, x: m.head(m.pool(m.first(x))),
    "difference from a mean": lambda m, x: m.head(m.first(x) - m.first(x).mean(1, keepdim=True)),
    "places": lambda m, x: m.head(m.first(x)[:, m.places]),
    "places behind an ellipsis": lambda m, x: m.head(m.first(x)[..., [3, 0, 0, 1]]),
    "places before an ellipsis": lambda m, x: m.head(m.first(x)[:, m.places.int(), ...]),
    "places of a mask": lambda m, x: m.head(m.first(x)[:, torch.arange(6) % 3 > 0]),
    "index_select": lambda m, x: m.head(torch.index_select(m.first(x), 2, torch.tensor([3, 0, 0, 1]))),
    "one value": lambda m, x: torch.sigmoid(m.one(F.relu(m.first(x[:, 0]))).squeeze(1)),
    "one value by a vector": lambda m, x: torch.tanh(F.relu(m.first(x[:, 0])) @ m.vector),
    "sum of two": lambda m, x: m.one(F.relu(m.first(x[:, 0]))).view(-1) + m.one(x[:, 1]).squeeze(),
    "windows": _windows,
    "steps as samples": _distributed,
    "zeros beside": lambda m, x: m.head(torch.cat((m.narrow.weight.new_zeros(len(x), 1, 4), m.first(x)), 1)),
}
"""The forward() of each network, by what it is."""


def network(name: str) -> Parts:
    torch.manual_seed(len(name))
    return Parts(NETWORKS[name]).eval()


def sequences(count: int = 24) -> Tensor:
    return torch.randn(count, 6, 4, generator=torch.Generator().manual_seed(3))
