"""Networks as users bring them, and their data."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.data.digits import load_digits


class OfficialMnist(nn.Module):
    """The network of PyTorch's mnist example (pytorch/examples, mnist/main.py), for images of `size` x `size`."""

    def __init__(self, size: int = 28, channels: tuple[int, int] = (32, 64), hidden: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], 3, 1)
        self.conv2 = nn.Conv2d(channels[0], channels[1], 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(channels[1] * ((size - 4) // 2) ** 2, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = F.relu(x)
        x = self.conv2(x)
        x = F.relu(x)
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = F.relu(x)
        x = self.dropout2(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def jet_tagger(norm_first: bool) -> nn.Sequential:
    """The jet-tagging network of hls4ml (Duarte et al., JINST 2018), with batch normalisation before or after ReLU."""
    sizes = (16, 64, 32, 32)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        norm, relu = nn.BatchNorm1d(outputs), nn.ReLU()
        layers += [nn.Linear(inputs, outputs), *((norm, relu) if norm_first else (relu, norm))]
    return nn.Sequential(*layers, nn.Linear(32, 5), nn.Softmax(dim=1))


class Depthwise(nn.Module):
    """A first convolution, a block of MobileNet (Howard et al., arXiv 1704.04861, table 1), and the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.block = nn.Sequential(
            nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(self.first(x)).mean((2, 3)))


class BasicBlock(nn.Module):
    """The block of torchvision's ResNet-18 (torchvision/models/resnet.py): the addition and the ReLUs are in place."""

    def __init__(self, inputs: int, outputs: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Residual(nn.Module):
    """A small network as torchvision makes its ResNets: a first convolution, two stages of a block each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(BasicBlock(8, 8, 1, None))
        down = nn.Sequential(nn.Conv2d(8, 16, 1, stride=2, bias=False), nn.BatchNorm2d(16))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, 2, down))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Guarded(nn.Module):
    """Checks the shape of its input, counts features in a loop, and normalises after ReLU; convolutions alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv2, self.last = nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.Conv2d(8, 10, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            x = x.unsqueeze(0)
        if x.shape[-2:] != (8, 8):
            raise ValueError(f"images must be 8 x 8, not {tuple(x.shape[-2:])}")
        assert x.size(1) == 1, "one channel"
        x = self.norm(F.relu(self.conv1(x)))
        return self.last(F.relu(self.conv2(x)))


def wrapped() -> nn.Module:
    """As in PyTorch's ImageNet example: the features are parallel, and all is compiled."""
    features = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2))
    return torch.compile(nn.Sequential(nn.DataParallel(features), nn.Flatten(), nn.Linear(54, 10)))  # type: ignore[return-value]


def images(size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The digits of scikit-learn, scaled to `size` x `size` by repeating pixels, with zeros around them."""
    data = load_digits()
    inputs = np.concatenate((data.train_inputs, data.test_inputs)).reshape(-1, 1, 8, 8)
    scale = size // 8
    large = inputs.repeat(scale, 2).repeat(scale, 3)
    around = size - 8 * scale
    padded = np.pad(large, ((0, 0), (0, 0), *[(around // 2, around - around // 2)] * 2))
    return padded.astype(np.float32), np.concatenate((data.train_labels, data.test_labels))


def jets() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Five classes of 16 values each."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 5, 800)
    return (rng.normal(size=(5, 16))[labels] + 0.6 * rng.normal(size=(800, 16))).astype(np.float32), labels


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A user's network and its data."""

    make: Callable[[], nn.Module]
    data: Callable[[], tuple[NDArray[Any], NDArray[Any]]]
    softmax: str | None = None
    """The softmax at its end."""
    budget: dict[str, float] = field(default_factory=lambda: {"eie": 0.9, "mma": 0.9})
    """What a plan may cost, by core: convolutions of few channels gain nothing from 2:4."""


NETWORKS = {
    "official mnist": Brought(
        make=lambda: OfficialMnist(12, (8, 16), 64), data=lambda: images(12), softmax="log_softmax"
    ),
    "jets, norm before ReLU": Brought(make=lambda: jet_tagger(True), data=jets, softmax="softmax"),
    "jets, norm after ReLU": Brought(make=lambda: jet_tagger(False), data=jets, softmax="softmax"),
    "depthwise": Brought(make=Depthwise, data=lambda: images(8), budget={"eie": 0.95, "mma": 0.998}),
    "residual": Brought(make=Residual, data=lambda: images(8), budget={"eie": 0.9, "mma": 0.95}),
    "guarded": Brought(make=Guarded, data=lambda: images(8)),
    "wrapped": Brought(make=wrapped, data=lambda: images(8), budget={"eie": 0.9, "mma": 0.95}),
}
