"""A language model of characters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.networks.seeded import seeded

_SPREAD = 0.02
"""The standard deviation of the weights at the start, that of GPT-2."""


def gpt(
    *, width: int = 128, blocks: int = 5, heads: int = 4, tokens: int = 64, characters: int = 96, seed: int = 0
) -> nn.Module:
    """A GPT-2 (Radford et al., 2019) for sequences of `tokens` characters, (n, tokens) to (n, tokens, characters): the
    scores of the character that follows each. 1.02 million parameters."""
    with seeded(seed):
        return Gpt(width, blocks, heads, tokens, characters)


class Gpt(nn.Module):
    """Learned positions, blocks with their normalisation first, and a head with weights of its own."""

    def __init__(self, width: int, blocks: int, heads: int, tokens: int, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.position = nn.Embedding(tokens, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, characters, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, 0, _SPREAD)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        # Samples are numbers in float32, as all are; compiled, they are integers already.
        x = x.long()
        places = torch.arange(x.shape[1], device=x.device)
        return self.head(self.norm(self.blocks(self.embedding(x) + self.position(places)[None])))


class Block(nn.Module):
    """Causal attention and two layers with a GELU, each added to what it reads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))

    def _attention(self, x: Tensor) -> Tensor:
        samples, tokens, width = x.shape
        query, key, value = (
            part.view(samples, tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=2)
        )
        found = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.project(found.transpose(1, 2).reshape(samples, tokens, width))
