"""Networks with gates, with attention to other values than their own, and with tensors of their own that they multiply
by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelGate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, 4), nn.ReLU(), nn.Linear(4, channels))

    def forward(self, x: Tensor) -> Tensor:
        size = (x.size(2), x.size(3))
        summed = self.mlp(F.avg_pool2d(x, size, stride=size)) + self.mlp(F.max_pool2d(x, size, stride=size))
        return x * torch.sigmoid(summed).unsqueeze(2).unsqueeze(3).expand_as(x)


class Cbam(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 8, 3, padding=1), ChannelGate(8)
        self.spatial = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1))
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.gate(F.relu(self.conv(x)))
        pooled = torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)
        x = x * torch.sigmoid(self.spatial(pooled))
        return self.fc(x.mean((2, 3)))


class Eca(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.avg_pool = nn.Conv2d(3, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1)
        self.conv, self.fc = nn.Conv1d(1, 1, kernel_size=3, padding=1, bias=False), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        y = self.avg_pool(x)
        y = self.conv(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        x = x * torch.sigmoid(y).expand_as(x)
        return self.fc(self.avg_pool(x).flatten(1))


class SplitAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc1, self.fc2 = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 16, 1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        batch, channels = x.shape[:2]
        splits = torch.split(x, channels // 2, dim=1)
        gap = F.adaptive_avg_pool2d(sum(splits), 1)
        attention = self.fc2(F.relu(self.fc1(gap))).view(batch, 2, channels // 2, 1, 1)
        attention = F.softmax(attention, dim=1).reshape(batch, -1, 1, 1)
        weights = torch.split(attention, channels // 2, dim=1)
        return self.fc(sum(part * weight for part, weight in zip(splits, weights, strict=True)).mean((2, 3)))


class LambdaLayer(nn.Module):
    def __init__(self, lambd: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Tensor) -> Tensor:
        return self.lambd(x)


class PaddedShortcut(nn.Module):
    """The shortcut of option A: every second place, and channels of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.shortcut = LambdaLayer(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4), "constant", 0))
        self.linear = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(x)) + self.shortcut(x))
        return self.linear(F.avg_pool2d(out, out.size()[3]).view(out.size(0), -1))


class PoolFormer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm1, self.norm2 = nn.Conv2d(3, 8, 2, 2), nn.GroupNorm(1, 8), nn.GroupNorm(1, 8)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.mlp = nn.Sequential(nn.Conv2d(8, 16, 1), nn.GELU(), nn.Conv2d(16, 8, 1))
        self.scale = nn.Parameter(0.5 * torch.ones(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        y = self.norm1(x)
        x = x + self.scale.unsqueeze(-1).unsqueeze(-1) * (self.pool(y) - y)
        x = x + self.mlp(self.norm2(x))
        return self.head(x.mean([-2, -1]))


class Conformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.feed_forward = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 8))
        self.norm1, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm2, self.pointwise, self.depthwise = nn.LayerNorm(8), nn.Conv1d(8, 16, 1), nn.Conv1d(8, 8, 5, 1, 2)
        self.batch_norm, self.end, self.head = nn.BatchNorm1d(8), nn.Conv1d(8, 8, 1), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.feed_forward(x)
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        y = F.glu(self.pointwise(self.norm2(x).transpose(1, 2)), dim=1)
        y = self.end(F.silu(self.batch_norm(self.depthwise(y)))).transpose(1, 2)
        return self.head((x + y).mean(1))


class RecurrentAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(25, 6)
        self.lstm = nn.LSTM(6, 5, bidirectional=True, batch_first=True)
        self.w, self.fc = nn.Parameter(torch.randn(10) / 3), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(x.long()))
        alpha = F.softmax(torch.matmul(torch.tanh(hidden), self.w), dim=1).unsqueeze(-1)
        return self.fc(F.relu(torch.sum(hidden * alpha, 1)))


class Translator(nn.Module):
    """The encoder reads the first tokens, the decoder the others."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.generator = nn.Embedding(20, 8), nn.Linear(8, 20)
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.embedding(tokens.long())
        mask = nn.Transformer.generate_square_subsequent_mask(4)
        return self.generator(self.transformer(embedded[:, :6], embedded[:, 6:], tgt_mask=mask)[:, -1])


class Perceiver(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(3, 8))
        self.cross, self.norm = nn.MultiheadAttention(8, 2, batch_first=True, kdim=6, vdim=6), nn.LayerNorm(8)
        self.mlp, self.head = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        latents = self.latents.unsqueeze(0).expand(x.size(0), -1, -1)
        latents = latents + self.cross(latents, x, x, need_weights=False)[0]
        return self.head((latents + self.mlp(self.norm(latents))).mean(1))


class GraphConvolution(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs) / 2), nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        return torch.matmul(adj, torch.matmul(x, self.weight)) + self.bias


class Gcn(nn.Module):
    """Samples are the features of the nodes of one graph."""

    def __init__(self) -> None:
        super().__init__()
        self.gc1, self.gc2, self.head = GraphConvolution(5, 8), GraphConvolution(8, 6), nn.Linear(6, 3)
        edges = torch.eye(9) + torch.eye(9).roll(1, 0) + torch.eye(9).roll(-1, 0)
        self.register_buffer("adj", edges / edges.sum(1, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.gc2(F.relu(self.gc1(x, self.adj)), self.adj)).mean(1))


class Chomp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :-2].contiguous()


class NormedTcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        normed = nn.utils.parametrizations.weight_norm
        self.net = nn.Sequential(normed(nn.Conv1d(3, 8, 3, padding=2)), Chomp(), nn.ReLU(), nn.Dropout(0.2))
        self.downsample, self.linear = nn.Conv1d(3, 8, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.relu(self.net(x) + self.downsample(x))[:, :, -1])


class StandardisedConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        mean = weight.mean(dim=(1, 2, 3), keepdim=True)
        weight = (weight - mean) / (weight.std(dim=(1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class BigTransfer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = StandardisedConv(3, 8, 3, 1, 1), nn.GroupNorm(4, 8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))


class SwinBlock(nn.Module):
    """Windows of the image are samples of their own; in every second block they are shifted, as here."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed, self.norm1, self.norm2 = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.proj, self.head = nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 10)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.relative_position_bias_table = nn.Parameter(torch.randn(7 * 7, 2) / 10)
        coords = torch.stack(torch.meshgrid([torch.arange(4), torch.arange(4)], indexing="ij")).flatten(1)
        relative = (coords[:, :, None] - coords[:, None, :]).permute(1, 2, 0) + 3
        self.register_buffer("relative_position_index", relative[..., 0] * 7 + relative[..., 1])
        regions = torch.zeros(1, 8, 8, 1)
        for number, (rows, columns) in enumerate((a, b) for a in self._bands() for b in self._bands()):
            regions[:, rows, columns] = number
        windows = self._windows(regions).view(-1, 16)
        different = windows.unsqueeze(1) - windows.unsqueeze(2)
        self.register_buffer("attn_mask", different.masked_fill(different != 0, -100.0))

    @staticmethod
    def _bands() -> tuple[slice, ...]:
        return slice(0, -4), slice(-4, -2), slice(-2, None)

    @staticmethod
    def _windows(x: Tensor) -> Tensor:
        B, H, W, C = x.shape
        return x.view(B, H // 4, 4, W // 4, 4, C).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 16, C)

    @staticmethod
    def _reverse(windows: Tensor, H: int, W: int) -> Tensor:
        B = int(windows.shape[0] / (H * W / 4 / 4))
        return windows.view(B, H // 4, W // 4, 4, 4, -1).permute(0, 1, 3, 2, 4, 5).contiguous().view(B, H, W, -1)

    def _attention(self, x: Tensor) -> Tensor:
        B_, N, C = x.shape
        qkv = self.qkv(x).reshape(B_, N, 3, 2, C // 2).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        attn = (q * 0.5) @ k.transpose(-2, -1)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)].view(16, 16, -1)
        attn = attn + bias.permute(2, 0, 1).contiguous().unsqueeze(0)
        nW = self.attn_mask.shape[0]
        attn = attn.view(B_ // nW, nW, 2, N, N) + self.attn_mask.unsqueeze(1).unsqueeze(0)
        attn = F.softmax(attn.view(-1, 2, N, N), dim=-1)
        return self.proj((attn @ v).transpose(1, 2).reshape(B_, N, C))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        B, L, C = x.shape
        shortcut = x
        x = torch.roll(self.norm1(x).view(B, 8, 8, C), shifts=(-2, -2), dims=(1, 2))
        x = self._reverse(self._attention(self._windows(x)), 8, 8)
        x = shortcut + torch.roll(x, shifts=(2, 2), dims=(1, 2)).view(B, L, C)
        x = x + self.mlp(self.norm2(x))
        return self.head(x.mean(1))


class MobileVit(nn.Module):
    """Attention among the same places of all patches."""

    def __init__(self) -> None:
        super().__init__()
        self.local, self.fusion, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(16, 8, 3, 1, 1), nn.Linear(8, 10)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.local(x))
        B, C, H, W = x.shape
        patches = x.reshape(B * C * H // 2, 2, W // 2, 2).transpose(1, 2)
        patches = patches.reshape(B, C, H * W // 4, 4).transpose(1, 3).reshape(B * 4, H * W // 4, C)
        patches = self.encoder(patches)
        patches = patches.contiguous().view(B, 4, H * W // 4, -1).transpose(1, 3)
        patches = patches.reshape(B * C * H // 2, W // 2, 2, 2).transpose(1, 2).reshape(B, C, H, W)
        return self.head(F.silu(self.fusion(torch.cat((x, patches), dim=1))).mean((2, 3)))


class ReversibleNormed(nn.Module):
    """Divides each series by its own deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        stdev = torch.sqrt(torch.var(x, 1, keepdim=True, unbiased=False) + 1e-5)
        y = self.linear(((x - mean) / stdev).transpose(1, 2)).transpose(1, 2)
        return y * stdev + mean


GATES = (
    Entry(name="CBAM", source="Jongchan/attention-module, MODELS/cbam.py", make=Cbam, shape=(3, 12, 12)),
    Entry(name="ECA-Net", source="BangguWu/ECANet, models/eca_module.py", make=Eca, shape=(3, 12, 12)),
    Entry(
        name="ResNeSt, split attention",
        source="zhanghang1989/ResNeSt, resnest/torch/models/splat.py",
        make=SplitAttention,
        shape=(3, 8, 8),
    ),
    Entry(
        name="ResNet with padded shortcuts",
        source="akamaster/pytorch_resnet_cifar10, resnet.py",
        make=PaddedShortcut,
        shape=(3, 12, 12),
    ),
    Entry(name="PoolFormer", source="sail-sg/poolformer, models/poolformer.py", make=PoolFormer, shape=(3, 12, 12)),
    Entry(
        name="BiT, standardised weights",
        source="google-research/big_transfer, bit_pytorch/models.py",
        make=BigTransfer,
        shape=(3, 10, 10),
    ),
    Entry(name="Conformer, a block", source="Gulati et al., Interspeech 2020", make=Conformer, shape=(10, 8)),
    Entry(
        name="LSTM with attention",
        source="649453932/Chinese-Text-Classification-Pytorch, models/TextRNN_Att.py",
        make=RecurrentAttention,
        shape=(8,),
        vocabulary=25,
    ),
    Entry(
        name="encoder and decoder",
        source="pytorch/tutorials, beginner_source/translation_transformer.py",
        make=Translator,
        shape=(10,),
        vocabulary=20,
    ),
    Entry(name="Perceiver", source="Jaegle et al., ICML 2021", make=Perceiver, shape=(12, 6)),
    Entry(name="GCN", source="tkipf/pygcn, pygcn/layers.py", make=Gcn, shape=(9, 5)),
    Entry(name="TCN with weight_norm", source="locuslab/TCN, TCN/tcn.py", make=NormedTcn, shape=(3, 16)),
    Entry(
        name="Swin, a shifted block",
        source="microsoft/Swin-Transformer, models/swin_transformer.py",
        make=SwinBlock,
        shape=(3, 16, 16),
    ),
    Entry(
        name="MobileViT",
        source="apple/ml-cvnets, cvnets/modules/mobilevit_block.py",
        make=MobileVit,
        shape=(3, 16, 16),
    ),
    Entry(name="RevIN", source="ts-kim/RevIN, RevIN.py", make=ReversibleNormed, shape=(12, 3)),
)
