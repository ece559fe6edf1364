"""Convolutions of one dimension: sound, heart beats, text."""

from __future__ import annotations

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F


class M5(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.pool1 = nn.Conv1d(1, 8, kernel_size=16, stride=4), nn.BatchNorm1d(8), nn.MaxPool1d(4)
        self.conv2, self.bn2, self.pool2 = nn.Conv1d(8, 8, kernel_size=3), nn.BatchNorm1d(8), nn.MaxPool1d(4)
        self.fc1 = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = self.pool2(F.relu(self.bn2(self.conv2(x))))
        x = F.avg_pool1d(x, x.shape[-1])
        x = x.permute(0, 2, 1)
        return F.log_softmax(self.fc1(x), dim=2)


class DepthwiseSeparable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, 8, (10, 4), (2, 2), (5, 1), bias=False), nn.BatchNorm2d(8), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
            layers += [nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
        self.features, self.fc = nn.Sequential(*layers), nn.Linear(8, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = F.avg_pool2d(x, kernel_size=(x.shape[2], x.shape[3]))
        return self.fc(x.squeeze(-1).squeeze(-1))


class HeartBeats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 8, kernel_size=5)
        self.conv1, self.conv2 = nn.Conv1d(8, 8, 5, padding=2), nn.Conv1d(8, 8, 5, padding=2)
        self.maxpool = nn.MaxPool1d(kernel_size=5, stride=2)
        self.dense1, self.dense2 = nn.Linear(8 * 20, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y = F.relu(self.conv1(x))
        y = self.conv2(y) + x
        y = self.maxpool(F.relu(y)).reshape(x.shape[0], -1)
        return self.dense2(F.relu(self.dense1(y)))


class Chomp1d(nn.Module):
    def __init__(self, chomp_size: int) -> None:
        super().__init__()
        self.chomp_size = chomp_size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.chomp_size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        padding = 2 * dilation
        layers: list[nn.Module] = []
        for taken in (inputs, outputs):
            conv = nn.Conv1d(taken, outputs, 3, padding=padding, dilation=dilation)
            layers += [conv, Chomp1d(padding), nn.ReLU(), nn.Dropout(0.2)]
        self.net = nn.Sequential(*layers)
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        res = x if self.downsample is None else self.downsample(x)
        return self.relu(out + res)


class TemporalConvolution(nn.Module):
    """After weight_norm was removed."""

    def __init__(self) -> None:
        super().__init__()
        self.tcn = nn.Sequential(TemporalBlock(2, 6, 1), TemporalBlock(6, 8, 2))
        self.linear = nn.Linear(8, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        return F.log_softmax(self.linear(self.tcn(inputs)[:, :, -1]), dim=1)


class WaveNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.start_conv = nn.Conv1d(1, 6, kernel_size=1)
        self.filter_convs = nn.ModuleList(nn.Conv1d(6, 6, 2, dilation=2**i) for i in range(3))
        self.gate_convs = nn.ModuleList(nn.Conv1d(6, 6, 2, dilation=2**i) for i in range(3))
        self.residual_convs = nn.ModuleList(nn.Conv1d(6, 6, 1) for _ in range(3))
        self.skip_convs = nn.ModuleList(nn.Conv1d(6, 8, 1) for _ in range(3))
        self.end_conv_1, self.end_conv_2 = nn.Conv1d(8, 8, 1), nn.Conv1d(8, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.start_conv(x)
        skip: Tensor | None = None
        for number in range(3):
            residual = x
            x = torch.tanh(self.filter_convs[number](x)) * torch.sigmoid(self.gate_convs[number](x))
            s = self.skip_convs[number](x)
            skip = s if skip is None else s + skip[:, :, -s.size(2) :]
            x = self.residual_convs[number](x) + residual[:, :, -x.size(2) :]
        assert skip is not None
        x = self.end_conv_2(F.relu(self.end_conv_1(F.relu(skip))))
        return x[:, :, -1]


class TextCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 8)
        self.convs = nn.ModuleList([nn.Conv2d(1, 6, (size, 8)) for size in (3, 4, 5)])
        self.dropout, self.fc1 = nn.Dropout(0.5), nn.Linear(18, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.long()).unsqueeze(1)
        found = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        found = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in found]
        return self.fc1(self.dropout(torch.cat(found, 1)))


class EegNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Sequential(
            nn.Conv2d(1, 4, (1, 16), padding=(0, 8), bias=False),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 8, (6, 1), groups=4, bias=False),
            nn.BatchNorm2d(8),
            nn.ELU(),
            nn.AvgPool2d((1, 4)),
            nn.Dropout(0.25),
        )
        self.block2 = nn.Sequential(
            nn.Conv2d(8, 8, (1, 8), padding=(0, 4), groups=8, bias=False),
            nn.Conv2d(8, 8, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ELU(),
            nn.AvgPool2d((1, 4)),
        )
        self.classifier = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block2(self.block1(x))
        return self.classifier(x.flatten(start_dim=1))


SEQUENCES = (
    Entry(
        name="M5",
        source="pytorch/tutorials, intermediate_source/speech_command_classification_with_torchaudio_tutorial.py",
        make=M5,
        shape=(1, 320),
    ),
    Entry(name="DS-CNN", source="ARM-software/ML-KWS-for-MCU, models.py", make=DepthwiseSeparable, shape=(1, 25, 10)),
    Entry(name="heart beats", source="Kachuee et al., ICHI 2018", make=HeartBeats, shape=(1, 48)),
    Entry(name="TCN", source="locuslab/TCN, TCN/tcn.py", make=TemporalConvolution, shape=(2, 20)),
    Entry(name="WaveNet", source="vincentherrmann/pytorch-wavenet, wavenet_model.py", make=WaveNet, shape=(1, 16)),
    Entry(
        name="text CNN",
        source="Shawn1993/cnn-text-classification-pytorch, model.py",
        make=TextCnn,
        shape=(12,),
        vocabulary=30,
    ),
    Entry(name="EEGNet", source="Lawhern et al., J. Neural Eng. 2018", make=EegNet, shape=(1, 6, 32)),
)
