"""Classifiers of images with shortcuts, or densely connected."""

from __future__ import annotations

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F

_VISION, _CIFAR = "pytorch/vision, torchvision/models/", "kuangliu/pytorch-cifar, models/"


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1, self.relu = norm(outputs), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, outputs: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += self.downsample(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, *blocks: nn.Module, outputs: int, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1, self.relu = norm(8), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layers = nn.Sequential(*blocks)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(outputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class GroupNorm4(nn.GroupNorm):
    def __init__(self, channels: int) -> None:
        super().__init__(4, channels)


class PreActBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, stride=1, padding=1, bias=False)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        out += shortcut
        return out


class SeBlock(BasicBlock):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, stride)
        self.fc1, self.fc2 = nn.Conv2d(outputs, 4, kernel_size=1), nn.Conv2d(4, outputs, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        w = F.avg_pool2d(out, out.size(2))
        w = F.relu(self.fc1(w))
        w = F.sigmoid(self.fc2(w))
        out = out * w
        out += x if self.downsample is None else self.downsample(x)
        return F.relu(out)


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 2 * growth, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * growth)
        self.conv2 = nn.Conv2d(2 * growth, growth, kernel_size=3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.conv1(F.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(F.relu(self.norm2(x)))


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 8, kernel_size=3, stride=2, padding=1, bias=False)
        self.layers = nn.ModuleList(DenseLayer(8 + 4 * number, 4) for number in range(3))
        self.norm, self.conv = nn.BatchNorm2d(20), nn.Conv2d(20, 10, kernel_size=1, stride=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)
        self.norm5, self.classifier = nn.BatchNorm2d(10), nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.conv0(x)]
        for layer in self.layers:
            features.append(layer(features))
        x = self.pool(self.conv(F.relu(self.norm(torch.cat(features, 1)))))
        x = F.relu(self.norm5(x), inplace=True)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class DualPath(nn.Module):
    def __init__(self, inputs: int, outputs: int, dense: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.conv1, self.bn1 = nn.Conv2d(inputs, 8, kernel_size=1, bias=False), nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, kernel_size=3, padding=1, groups=4, bias=False)
        self.bn2, self.bn3 = nn.BatchNorm2d(8), nn.BatchNorm2d(outputs + dense)
        self.conv3 = nn.Conv2d(8, outputs + dense, kernel_size=1, bias=False)
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs + dense, kernel_size=1, bias=False), nn.BatchNorm2d(outputs + dense)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        x = self.shortcut(x)
        d = self.outputs
        out = torch.cat([x[:, :d, :, :] + out[:, :d, :, :], x[:, d:, :, :], out[:, d:, :, :]], 1)
        return F.relu(out)


def _dpn() -> nn.Module:
    stem = nn.Conv2d(3, 8, kernel_size=3, padding=1)
    return nn.Sequential(stem, DualPath(8, 8, 4), DualPath(16, 8, 4), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, 10))


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(0.5 * torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.dwconv(x).permute(0, 2, 3, 1)
        x = self.gamma * self.pwconv2(self.act(self.pwconv1(self.norm(x))))
        return shortcut + x.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 8, kernel_size=4, stride=4), ConvNeXtBlock(8)
        self.norm, self.head = nn.LayerNorm(8, eps=1e-6), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.block(self.stem(x)).mean([-2, -1])))


class LayerNorm2d(nn.Module):
    """That of images in ConvNeXt's own code."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


def _convnext() -> nn.Module:
    downsample = nn.Sequential(LayerNorm2d(8), nn.Conv2d(8, 12, kernel_size=2, stride=2))
    stem = nn.Sequential(nn.Conv2d(3, 8, kernel_size=4, stride=4), LayerNorm2d(8))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(12, eps=1e-6), nn.Linear(12, 10)]
    return nn.Sequential(stem, ConvNeXtBlock(8), downsample, *head)


class Residual(nn.Module):
    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x) + x


def _convmixer() -> nn.Module:
    depthwise = nn.Sequential(nn.Conv2d(12, 12, 5, groups=12, padding="same"), nn.GELU(), nn.BatchNorm2d(12))
    head = [nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(12, 10)]
    mixed = [Residual(depthwise), nn.Conv2d(12, 12, kernel_size=1), nn.GELU(), nn.BatchNorm2d(12)]
    return nn.Sequential(nn.Conv2d(3, 12, kernel_size=4, stride=4), nn.GELU(), nn.BatchNorm2d(12), *mixed, *head)


def _resnet() -> nn.Module:
    return ResNet(BasicBlock(8, 8), BasicBlock(8, 16, 2), outputs=16)


def _resnet50() -> nn.Module:
    return ResNet(Bottleneck(8, 4, 16), Bottleneck(16, 8, 24, 2), outputs=24)


def _resnext() -> nn.Module:
    return ResNet(Bottleneck(8, 8, 16, groups=4), Bottleneck(16, 16, 24, 2, groups=4), outputs=24)


def _group_norm() -> nn.Module:
    blocks = BasicBlock(8, 8, norm=GroupNorm4), BasicBlock(8, 16, 2, norm=GroupNorm4)
    return ResNet(*blocks, outputs=16, norm=GroupNorm4)


def _preact() -> nn.Module:
    blocks = PreActBlock(8, 8), PreActBlock(8, 16, 2)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *blocks, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, 10))


def _senet() -> nn.Module:
    return ResNet(SeBlock(8, 8), SeBlock(8, 16, 2), outputs=16)


RESIDUAL = (
    Entry(name="ResNet-18", source=f"{_VISION}resnet.py", make=_resnet, shape=(3, 16, 16)),
    Entry(name="ResNet-50", source=f"{_VISION}resnet.py", make=_resnet50, shape=(3, 16, 16)),
    Entry(name="ResNeXt", source=f"{_VISION}resnet.py", make=_resnext, shape=(3, 16, 16)),
    Entry(name="ResNet with group norm", source="Wu and He, ECCV 2018", make=_group_norm, shape=(3, 16, 16)),
    Entry(name="PreActResNet", source=f"{_CIFAR}preact_resnet.py", make=_preact, shape=(3, 16, 16)),
    Entry(name="SENet", source=f"{_CIFAR}senet.py", make=_senet, shape=(3, 16, 16)),
    Entry(name="DenseNet", source=f"{_VISION}densenet.py", make=DenseNet, shape=(3, 16, 16)),
    Entry(name="DPN", source=f"{_CIFAR}dpn.py", make=_dpn, shape=(3, 8, 8)),
    Entry(name="ConvNeXt", source=f"{_VISION}convnext.py", make=ConvNeXt, shape=(3, 24, 24)),
    Entry(
        name="ConvNeXt, its own code",
        source="facebookresearch/ConvNeXt, models/convnext.py",
        make=_convnext,
        shape=(3, 24, 24),
    ),
    Entry(name="ConvMixer", source="locuslab/convmixer, convmixer.py", make=_convmixer, shape=(3, 24, 24)),
)
