"""Classifiers of images without shortcuts."""

from __future__ import annotations

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F

_VISION = "pytorch/vision, torchvision/models/"


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 4 * 4, 60), nn.Linear(60, 42), nn.Linear(42, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class MnistExample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, 1), nn.Conv2d(8, 16, 3, 1)
        self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(16 * 6 * 6, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = self.dropout2(F.relu(self.fc1(torch.flatten(x, 1))))
        return F.log_softmax(self.fc2(x), dim=1)


class AlexNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, kernel_size=5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(8, 16, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 16, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(16 * 9, 64), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(64, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


def _vgg() -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for size in (8, 0, 16, 0, 24, 24, 0):
        if size == 0:
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers += [nn.Conv2d(channels, size, kernel_size=3, padding=1), nn.BatchNorm2d(size), nn.ReLU(inplace=True)]
        channels = size
    head = nn.Sequential(nn.Linear(24 * 4, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 10))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), head)


class Fire(nn.Module):
    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze, expand, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze, expand, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        return torch.cat(
            [self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))], 1
        )


def _squeezenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 12, kernel_size=3, stride=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        Fire(12, 4, 8),
        Fire(16, 4, 8),
        nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        Fire(16, 6, 12),
        nn.Dropout(0.5),
        nn.Conv2d(24, 10, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
    )


class BasicConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel_size: int, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch1 = BasicConv(inputs, 6, 1)
        self.branch2 = nn.Sequential(BasicConv(inputs, 4, 1), BasicConv(4, 8, 3, padding=1))
        self.branch3 = nn.Sequential(BasicConv(inputs, 4, 1), BasicConv(4, 4, 5, padding=2))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), BasicConv(inputs, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


def _googlenet() -> nn.Module:
    return nn.Sequential(
        BasicConv(3, 8, 3, padding=1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Inception(8),
        Inception(22),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(22, 10),
    )


def _nin() -> nn.Module:
    def block(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
        one, other = nn.Conv2d(outputs, outputs, 1), nn.Conv2d(outputs, outputs, 1)
        first = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        return [first, nn.ReLU(), one, nn.ReLU(), other, nn.ReLU()]

    pooled = [nn.MaxPool2d(3, 2, padding=1), nn.Dropout(), *block(12, 12, 3), nn.AvgPool2d(3, 2, padding=1)]
    return nn.Sequential(*block(3, 12, 5), *pooled, *block(12, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


IMAGES = (
    Entry(name="LeNet-5", source="kuangliu/pytorch-cifar, models/lenet.py", make=LeNet, shape=(1, 28, 28)),
    Entry(name="MNIST example", source="pytorch/examples, mnist/main.py", make=MnistExample, shape=(1, 16, 16)),
    Entry(name="AlexNet", source=f"{_VISION}alexnet.py", make=AlexNet, shape=(3, 32, 32)),
    Entry(name="VGG with batch norm", source=f"{_VISION}vgg.py", make=_vgg, shape=(3, 16, 16)),
    Entry(name="SqueezeNet 1.1", source=f"{_VISION}squeezenet.py", make=_squeezenet, shape=(3, 32, 32)),
    Entry(name="GoogLeNet", source=f"{_VISION}googlenet.py", make=_googlenet, shape=(3, 16, 16)),
    Entry(name="Network in network", source="Lin et al., ICLR 2014", make=_nin, shape=(3, 16, 16)),
)
