"""Transformers, and other networks of tokens."""

from __future__ import annotations

import math

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F


class CausalSelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.register_buffer("bias", torch.tril(torch.ones(8, 8)).view(1, 1, 8, 8))

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(8, dim=2)
        k = k.view(B, T, 2, C // 2).transpose(1, 2)
        q = q.view(B, T, 2, C // 2).transpose(1, 2)
        v = v.view(B, T, 2, C // 2).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Gpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(20, 8), nn.Embedding(8, 8)
        self.ln_1, self.ln_2, self.ln_f = nn.LayerNorm(8), nn.LayerNorm(8), nn.LayerNorm(8)
        self.attn, self.c_fc, self.c_proj = CausalSelfAttention(), nn.Linear(8, 32), nn.Linear(32, 8)
        self.lm_head = nn.Linear(8, 20, bias=False)

    def forward(self, idx: Tensor) -> Tensor:
        pos = torch.arange(0, idx.size(1), dtype=torch.long)
        x = self.wte(idx.long()) + self.wpe(pos)
        x = x + self.attn(self.ln_1(x))
        x = x + self.c_proj(F.gelu(self.c_fc(self.ln_2(x))))
        return self.lm_head(self.ln_f(x)[:, -1, :])


class VisionTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, 8, kernel_size=4, stride=4)
        self.class_token = nn.Parameter(torch.randn(1, 1, 8))
        self.pos_embedding = nn.Parameter(torch.randn(1, 10, 8) * 0.2)
        self.ln_1, self.ln_2, self.ln = (nn.LayerNorm(8, eps=1e-6) for _ in range(3))
        self.self_attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 8), nn.Dropout(0.1))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        x = self.conv_proj(x).reshape(n, 8, 9).permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1) + self.pos_embedding
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + y
        x = x + self.mlp(self.ln_2(x))
        return self.head(self.ln(x)[:, 0])


class Attention(nn.Module):
    """As in timm, with queries and keys that are normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.scale = 2, 4**-0.5
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.q_norm, self.k_norm = nn.LayerNorm(4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        attn = (q * self.scale) @ k.transpose(-2, -1)
        x = attn.softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(B, N, C))


class LayerScale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(0.3 * torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class DeiT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, 8, kernel_size=4, stride=4)
        self.norm1, self.attn, self.ls1 = nn.LayerNorm(8), Attention(), LayerScale()
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x).flatten(2).transpose(1, 2)
        x = x + self.ls1(self.attn(self.norm1(x)))
        return self.head(self.norm(x.mean(dim=1)))


class EinsumAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.to_qkv, self.to_out, self.head = nn.Linear(8, 24, bias=False), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = (part.reshape(b, n, 2, 4).permute(0, 2, 1, 3) for part in self.to_qkv(x).chunk(3, dim=-1))
        dots = torch.einsum("b h i d, b h j d -> b h i j", q, k) * 4**-0.5
        out = torch.einsum("b h i j, b h j d -> b h i d", dots.softmax(dim=-1), v)
        return self.head(self.to_out(out.permute(0, 2, 1, 3).reshape(b, n, 8)).mean(dim=1))


class LayerNorm(nn.Module):
    """As in the annotated transformer."""

    def __init__(self, features: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.a_2, self.b_2 = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        std = x.std(-1, keepdim=True)
        return self.a_2 * (x - mean) / (std + self.eps) + self.b_2


class AnnotatedTransformer(nn.Module):
    """A layer of its decoder, as a language model."""

    def __init__(self) -> None:
        super().__init__()
        self.lut, self.norms = nn.Embedding(20, 8), nn.ModuleList(LayerNorm(8) for _ in range(3))
        self.linears = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
        self.w_1, self.w_2, self.proj = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 20)
        self.register_buffer("mask", torch.triu(torch.ones(1, 8, 8), diagonal=1).type(torch.uint8) == 0)

    def _attention(self, x: Tensor) -> Tensor:
        nbatches = x.size(0)
        query, key, value = [
            lin(y).view(nbatches, -1, 2, 4).transpose(1, 2) for lin, y in zip(self.linears, (x, x, x), strict=False)
        ]
        scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(query.size(-1))
        scores = scores.masked_fill(self.mask.unsqueeze(1) == 0, -1e9)
        x = torch.matmul(scores.softmax(dim=-1), value)
        return self.linears[-1](x.transpose(1, 2).contiguous().view(nbatches, -1, 2 * 4))

    def forward(self, tgt: Tensor) -> Tensor:
        x = self.lut(tgt.long()) * math.sqrt(8)
        x = x + self._attention(self.norms[0](x))
        x = x + self.w_2(self.w_1(self.norms[1](x)).relu())
        return self.proj(self.norms[2](x))


class EncoderClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        position = torch.arange(8).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, 8, 2) * (-math.log(10000.0) / 8))
        pe = torch.zeros(1, 8, 8)
        pe[0, :, 0::2], pe[0, :, 1::2] = torch.sin(position * div_term), torch.cos(position * div_term)
        self.register_buffer("pe", pe)
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.linear = nn.Linear(8, 3)

    def forward(self, src: Tensor) -> Tensor:
        src = self.embedding(src.long()) * math.sqrt(8)
        src = src + self.pe[:, : src.size(1)]
        return self.linear(self.transformer_encoder(src).mean(dim=1))


class MixerBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.token_mix = nn.Sequential(nn.Linear(9, 12), nn.GELU(), nn.Linear(12, 9))
        self.channel_mix = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.token_mix(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channel_mix(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.blocks = nn.Conv2d(3, 8, 4, 4), nn.Sequential(MixerBlock(), MixerBlock())
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.patch(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(x).mean(dim=1))


class RMSNorm(nn.Module):
    """As in meta-llama."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.linspace(0.8, 1.2, dim))

    def _norm(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)

    def forward(self, x: Tensor) -> Tensor:
        output = self._norm(x.float()).type_as(x)
        return output * self.weight


class LlamaBlock(nn.Module):
    """RMSNorm, rotary positions and a gated feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(20, 8)
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(8, 8, bias=False) for _ in range(4))
        self.w1, self.w2, self.w3 = (
            nn.Linear(8, 16, bias=False),
            nn.Linear(16, 8, bias=False),
            nn.Linear(8, 16, bias=False),
        )
        self.attention_norm, self.ffn_norm, self.norm = (RMSNorm(8) for _ in range(3))
        self.output = nn.Linear(8, 20, bias=False)
        freqs = torch.outer(torch.arange(8).float(), 1.0 / 10000.0 ** (torch.arange(0, 4, 2).float() / 4))
        self.register_buffer("cos", torch.cat([freqs.cos(), freqs.cos()], dim=-1))
        self.register_buffer("sin", torch.cat([freqs.sin(), freqs.sin()], dim=-1))

    def _rotated(self, x: Tensor) -> Tensor:
        x1, x2 = x[..., :2], x[..., 2:]
        return x * self.cos + torch.cat([-x2, x1], dim=-1) * self.sin

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.tok_embeddings(tokens.long())
        x = self.attention_norm(h)
        bsz, seqlen, _ = x.shape
        xq, xk, xv = (one(x).view(bsz, seqlen, 2, 4).transpose(1, 2) for one in (self.wq, self.wk, self.wv))
        out = F.scaled_dot_product_attention(self._rotated(xq), self._rotated(xk), xv, is_causal=True)
        h = h + self.wo(out.transpose(1, 2).contiguous().view(bsz, seqlen, -1))
        x = self.ffn_norm(h)
        h = h + self.w2(F.silu(self.w1(x)) * self.w3(x))
        return self.output(self.norm(h)[:, -1])


TOKENS = (
    Entry(name="GPT", source="karpathy/nanoGPT, model.py", make=Gpt, shape=(8,), vocabulary=20),
    Entry(
        name="annotated transformer",
        source="harvardnlp/annotated-transformer, the_annotated_transformer.py",
        make=AnnotatedTransformer,
        shape=(8,),
        vocabulary=20,
    ),
    Entry(
        name="Llama, a block",
        source="meta-llama/llama, llama/model.py",
        make=LlamaBlock,
        shape=(8,),
        vocabulary=20,
    ),
    Entry(
        name="ViT",
        source="pytorch/vision, torchvision/models/vision_transformer.py",
        make=VisionTransformer,
        shape=(3, 12, 12),
    ),
    Entry(
        name="DeiT III",
        source="huggingface/pytorch-image-models, timm/models/vision_transformer.py",
        make=DeiT,
        shape=(3, 12, 12),
    ),
    Entry(
        name="attention by einsum",
        source="lucidrains/vit-pytorch, vit_pytorch/vit.py",
        make=EinsumAttention,
        shape=(6, 8),
    ),
    Entry(
        name="transformer encoder",
        source="pytorch/tutorials, beginner_source/transformer_tutorial.py",
        make=EncoderClassifier,
        shape=(8,),
        vocabulary=20,
    ),
    Entry(name="MLP-Mixer", source="Tolstikhin et al., NeurIPS 2021", make=Mixer, shape=(3, 12, 12)),
)
