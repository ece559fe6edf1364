"""Classifiers of images for small machines."""

from __future__ import annotations

import math

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F

_VISION, _CIFAR = "pytorch/vision, torchvision/models/", "kuangliu/pytorch-cifar, models/"


class Separable(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, kernel_size=3, stride=stride, padding=1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2, self.bn2 = nn.Conv2d(inputs, outputs, kernel_size=1, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class MobileNetV1(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.layers = nn.Sequential(Separable(8, 16), Separable(16, 24, 2))
        self.linear = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(F.relu(self.bn1(self.conv1(x))))
        out = F.avg_pool2d(out, 8)
        return self.linear(out.view(out.size(0), -1))


def _conv_norm(
    inputs: int, outputs: int, act: type[nn.Module] | None, k: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    made: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, k, stride, padding=(k - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return made if act is None else [*made, act(inplace=True)]


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, squeeze: int, act: type[nn.Module], scale: type[nn.Module]) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, squeeze, 1), nn.Conv2d(squeeze, channels, 1)
        self.activation, self.scale_activation = act(), scale()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.avgpool(x)
        scale = self.fc2(self.activation(self.fc1(scale)))
        return self.scale_activation(scale) * x


class StochasticDepth(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if not self.training else x * torch.bernoulli(torch.full((x.shape[0], 1, 1, 1), 0.8)) / 0.8


class InvertedResidual(nn.Module):
    """That of MobileNetV2, with what MobileNetV3 and EfficientNet add."""

    def __init__(
        self,
        inputs: int,
        expanded: int,
        outputs: int,
        stride: int = 1,
        act: type[nn.Module] = nn.ReLU6,
        gate: tuple[type[nn.Module], type[nn.Module]] | None = None,
        k: int = 3,
    ) -> None:
        super().__init__()
        self.use_res_connect = stride == 1 and inputs == outputs
        layers = [] if expanded == inputs else _conv_norm(inputs, expanded, act, 1)
        layers += _conv_norm(expanded, expanded, act, k, stride, expanded)
        if gate is not None:
            layers.append(SqueezeExcitation(expanded, 4, *gate))
        self.block = nn.Sequential(*layers, *_conv_norm(expanded, outputs, None, 1))
        self.stochastic_depth = StochasticDepth()

    def forward(self, x: Tensor) -> Tensor:
        result = self.block(x)
        if self.use_res_connect:
            result = self.stochastic_depth(result)
            result += x
        return result


class Mobile(nn.Module):
    def __init__(self, act: type[nn.Module], *blocks: nn.Module, last: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*_conv_norm(3, 8, act, 3, 2), *blocks, *_conv_norm(last, 32, act, 1))
        self.classifier = nn.Sequential(nn.Dropout(p=0.2), nn.Linear(32, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


def _mobilenet_v2() -> nn.Module:
    blocks = InvertedResidual(8, 8, 8), InvertedResidual(8, 24, 12, 2), InvertedResidual(12, 36, 12)
    return Mobile(nn.ReLU6, *blocks, last=12)


def _mobilenet_v3() -> nn.Module:
    gate = (nn.ReLU, nn.Hardsigmoid)
    blocks = (
        InvertedResidual(8, 16, 8, act=nn.ReLU, gate=gate),
        InvertedResidual(8, 24, 12, 2, act=nn.Hardswish, gate=gate, k=5),
    )
    return Mobile(nn.Hardswish, *blocks, last=12)


def _efficientnet() -> nn.Module:
    gate = (nn.SiLU, nn.Sigmoid)
    blocks = (
        InvertedResidual(8, 8, 8, act=nn.SiLU, gate=gate),
        InvertedResidual(8, 24, 12, 2, act=nn.SiLU, gate=gate, k=5),
        InvertedResidual(12, 24, 12, act=nn.SiLU, gate=gate),
    )
    return Mobile(nn.SiLU, *blocks, last=12)


def _mnasnet() -> nn.Module:
    blocks = InvertedResidual(8, 24, 12, 2, act=nn.ReLU, k=5), InvertedResidual(12, 24, 12, act=nn.ReLU, k=5)
    return Mobile(nn.ReLU, *blocks, last=12)


class ShuffleUnit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = nn.Sequential(
            *_conv_norm(half, half, nn.ReLU, 1),
            *_conv_norm(half, half, None, 3, 1, half),
            *_conv_norm(half, half, nn.ReLU, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        return _shuffled(torch.cat((x1, self.branch2(x2)), dim=1), 2)


def _shuffled(x: Tensor, groups: int) -> Tensor:
    batchsize, num_channels, height, width = x.size()
    x = x.view(batchsize, groups, num_channels // groups, height, width)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(batchsize, num_channels, height, width)


class ShuffleNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*_conv_norm(3, 8, nn.ReLU, 3, 2))
        self.stage = nn.Sequential(ShuffleUnit(8), ShuffleUnit(8))
        self.conv5 = nn.Sequential(*_conv_norm(8, 24, nn.ReLU, 1))
        self.fc = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv5(self.stage(self.conv1(x)))
        x = x.mean([2, 3])
        return self.fc(x)


class GhostModule(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.oup = outputs
        first = math.ceil(outputs / 2)
        self.primary_conv = nn.Sequential(*_conv_norm(inputs, first, nn.ReLU, 1))
        self.cheap_operation = nn.Sequential(*_conv_norm(first, first, nn.ReLU, 3, 1, first))

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.primary_conv(x)
        x2 = self.cheap_operation(x1)
        return torch.cat([x1, x2], dim=1)[:, : self.oup, :, :]


def _ghostnet() -> nn.Module:
    modules = GhostModule(8, 15), GhostModule(15, 12)
    head = nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(12, 10)
    return nn.Sequential(*_conv_norm(3, 8, nn.ReLU, 3, 2), *modules, *head)


MOBILE = (
    Entry(name="MobileNetV1", source=f"{_CIFAR}mobilenet.py", make=MobileNetV1, shape=(3, 16, 16)),
    Entry(name="MobileNetV2", source=f"{_VISION}mobilenetv2.py", make=_mobilenet_v2, shape=(3, 16, 16)),
    Entry(name="MobileNetV3", source=f"{_VISION}mobilenetv3.py", make=_mobilenet_v3, shape=(3, 16, 16)),
    Entry(name="EfficientNet", source=f"{_VISION}efficientnet.py", make=_efficientnet, shape=(3, 16, 16)),
    Entry(name="MNASNet", source=f"{_VISION}mnasnet.py", make=_mnasnet, shape=(3, 16, 16)),
    Entry(name="ShuffleNetV2", source=f"{_VISION}shufflenetv2.py", make=ShuffleNetV2, shape=(3, 16, 16)),
    Entry(name="GhostNet", source="Han et al., CVPR 2020", make=_ghostnet, shape=(3, 16, 16)),
)
