"""Small networks with attention, normalisation and embeddings, each written as a user would."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS, WIDTH, VOCABULARY = 6, 8, 11

Forward = Callable[["Parts", Tensor], Tensor]


class Parts(nn.Module):
    """Layers for 6 tokens of 8 values, and a forward() that combines some of them."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.norm, self.norm2, self.plain = nn.LayerNorm(8), nn.LayerNorm(8, eps=1e-3), nn.LayerNorm(8, bias=False)
        self.rms, self.both = nn.RMSNorm(8), nn.LayerNorm([6, 8], elementwise_affine=False)
        self.up, self.down, self.head = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 3)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder_first = nn.TransformerEncoderLayer(8, 4, 16, activation="gelu", batch_first=True, norm_first=True)
        self.embedding, self.positions = nn.Embedding(VOCABULARY, 8), nn.Embedding(TOKENS, 8)
        self.cls, self.place = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 6, 8))
        self.long_place = nn.Parameter(torch.randn(1, 7, 8))
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)))
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def _heads(m: Parts, x: Tensor) -> tuple[Tensor, ...]:
    samples, tokens, width = x.shape
    return tuple(part.view(samples, tokens, 2, width // 2).transpose(1, 2) for part in m.qkv(x).split(width, dim=2))


def _joined(m: Parts, x: Tensor) -> Tensor:
    return m.proj(x.transpose(1, 2).contiguous().view(len(x), x.shape[2], -1))


def _attention(m: Parts, x: Tensor) -> Tensor:
    """As nanoGPT writes it, with a mask of its own."""
    q, k, v = _heads(m, x)
    scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
    scores = scores.masked_fill(m.mask[: x.shape[1], : x.shape[1]] == 0, float("-inf"))
    return _joined(m, F.softmax(scores, dim=-1) @ v)


def _block(m: Parts, x: Tensor) -> Tensor:
    x = x + _attention(m, m.norm(x))
    return x + m.down(F.gelu(m.up(m.norm2(x))))


def _gpt(m: Parts, x: Tensor) -> Tensor:
    """Tokens (n, 6), whole numbers."""
    x = m.embedding(x) + m.positions(torch.arange(x.shape[1], device=x.device))[None]
    return m.head(m.rms(_block(m, x))[:, -1])


def _vit(m: Parts, x: Tensor) -> Tensor:
    """With a class token and learned positions."""
    x = torch.cat([m.cls.expand(x.size(0), -1, -1), m.up(x)[..., :8]], dim=1) + m.long_place
    q, k, v = (
        part.squeeze(1) for part in m.qkv(m.norm(x)).reshape(len(x), 7, 3, 2, 4).permute(0, 2, 3, 1, 4).split(1, 1)
    )
    x = x + _joined(m, F.scaled_dot_product_attention(q, k, v))
    return m.head(m.plain(x)[:, 0])


NETWORKS: dict[str, Forward] = {
    "LayerNorm": lambda m, x: m.proj(F.relu(m.norm(m.proj(x)))),
    "norms": lambda m, x: m.head(m.both(m.rms(m.proj(x)) + m.plain(x))).flatten(1),
    "attention": lambda m, x: m.head(_attention(m, x)[:, 0]),
    "transformer block": lambda m, x: m.head(_block(m, x).mean(1)),
    "vision transformer": _vit,
    "GPT": _gpt,
    "whole numbers": lambda m, x: m.head(m.norm(m.embedding(x[..., 0].long()))).flatten(1),
    "layer of attention": lambda m, x: m.head(m.attention(y := m.proj(x), y, y)[0]).flatten(1),
    "causal layer of attention": lambda m, x: m.head(
        m.attention(x, x, x, need_weights=False, attn_mask=torch.triu(torch.ones(6, 6), 1).bool())[0][:, -1]
    ),
    "encoder layer": lambda m, x: m.head(m.encoder(x).mean(1)),
    "encoder layer with its norms first": lambda m, x: m.head(m.encoder_first(m.proj(x))[:, 0]),
    "causal": lambda m, x: m.head(_joined(m, F.scaled_dot_product_attention(*_heads(m, x), is_causal=True))[:, -1]),
    "scaled queries": lambda m, x: _scaled(m, *_heads(m, x)),
    "softmax of channels": lambda m, x: m.head((m.proj(x).softmax(1) * x).mean(1)),
    "constants": lambda m, x: m.head((1 - m.proj(x)) * 0.5 + x / 3 - m.place)[:, 0],
    "difference": lambda m, x: m.head(m.proj(x) - x)[:, 0],
    "stacked": lambda m, x: m.head(torch.stack([m.proj(x), x], 2).flatten(1, 2)[:, 1:3]).flatten(1),
    "concatenated values": lambda m, x: m.down(torch.cat([m.proj(x), x], -1))[:, 1],
}
"""The forward() of each network, by what it is."""


def _scaled(m: Parts, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As timm writes it, with a mask that is added."""
    scores = (q * 4**-0.5) @ k.transpose(-2, -1)
    scores = scores + torch.full((6, 6), -torch.inf).triu(1)
    return m.head(_joined(m, scores.softmax(dim=-1) @ v)[:, -1])


def network(name: str) -> Parts:
    """A network of NETWORKS in eval mode, with normalisations that matter."""
    torch.manual_seed(len(name))
    module = Parts(NETWORKS[name])
    for part in module.modules():
        if isinstance(part, nn.LayerNorm | nn.RMSNorm) and part.weight is not None:
            nn.init.normal_(part.weight, 1, 0.3)
            if getattr(part, "bias", None) is not None:
                nn.init.normal_(part.bias, 0, 0.3)
    return module.eval()


def tokens(name: str, count: int = 24) -> Tensor:
    """Inputs of a network: (count, 6, 8), or whole numbers (count, 6), as float32."""
    generator = torch.Generator().manual_seed(5)
    if name == "whole numbers":
        return torch.randint(VOCABULARY, (count, TOKENS, 1), generator=generator).float()
    if name == "GPT":
        return torch.randint(VOCABULARY, (count, TOKENS), generator=generator).float()
    return torch.randn(count, TOKENS, WIDTH, generator=generator)
