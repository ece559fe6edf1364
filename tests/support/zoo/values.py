"""Networks of plain values and of points."""

from __future__ import annotations

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F


class SpatialTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(3, 8, 1), nn.Conv1d(8, 16, 1)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 8), nn.Linear(8, 8), nn.Linear(8, 9)
        self.bn1, self.bn2 = nn.BatchNorm1d(8), nn.BatchNorm1d(16)

    def forward(self, x: Tensor) -> Tensor:
        batchsize = x.size()[0]
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = torch.max(x, 2, keepdim=True)[0].view(-1, 16)
        x = self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
        iden = torch.eye(3).view(1, 9).repeat(batchsize, 1)
        return (x + iden).view(-1, 3, 3)


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stn = SpatialTransformer()
        self.conv1, self.conv2 = nn.Conv1d(3, 8, 1), nn.Conv1d(8, 16, 1)
        self.bn1, self.bn2, self.fc = nn.BatchNorm1d(8), nn.BatchNorm1d(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        trans = self.stn(x)
        x = torch.bmm(x.transpose(2, 1), trans).transpose(2, 1)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        x = torch.max(x, 2, keepdim=True)[0].view(-1, 16)
        return F.log_softmax(self.fc(x), dim=1)


class NBeatsBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(12, 16), nn.Linear(16, 16)
        self.backcast_fc, self.forecast_fc = nn.Linear(16, 12), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.fc2(F.relu(self.fc1(x))))
        return self.backcast_fc(x), self.forecast_fc(x)


class NBeats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(NBeatsBlock() for _ in range(3))

    def forward(self, backcast: Tensor) -> Tensor:
        forecast = torch.zeros(backcast.shape[0], 4)
        for block in self.blocks:
            b, f = block(backcast)
            backcast = backcast - b
            forecast = forecast + f
        return forecast


class DeepSets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(3, 8), nn.ELU(), nn.Linear(8, 8), nn.ELU())
        self.rho = nn.Sequential(nn.Linear(8, 8), nn.ELU(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.rho(self.phi(x).sum(dim=1))


class WideAndDeep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeddings, self.wide = nn.Embedding(15, 4), nn.Embedding(15, 1)
        self.deep = nn.Sequential(nn.Linear(24, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.long()
        deep = self.deep(self.embeddings(x).view(-1, 24))
        return deep + self.wide(x).sum(dim=1)


def _autoencoder() -> nn.Module:
    layers: list[nn.Module] = []
    for taken, given in ((40, 24), (24, 4), (4, 24)):
        layers += [nn.Linear(taken, given), nn.BatchNorm1d(given), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(24, 40))


def _actor() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2), nn.Softplus())


VALUES = (
    Entry(name="PointNet", source="fxia22/pointnet.pytorch, pointnet/model.py", make=PointNet, shape=(3, 16)),
    Entry(name="N-BEATS", source="philipperemy/n-beats, nbeats_pytorch/model.py", make=NBeats, shape=(12,)),
    Entry(name="Deep Sets", source="manzilzaheer/DeepSets, PopStats/model.py", make=DeepSets, shape=(5, 3)),
    Entry(
        name="wide and deep",
        source="rixwew/pytorch-fm, torchfm/model/wd.py",
        make=WideAndDeep,
        shape=(6,),
        vocabulary=15,
    ),
    Entry(
        name="anomaly autoencoder",
        source="mlcommons/tiny, benchmark/training/anomaly_detection",
        make=_autoencoder,
        shape=(40,),
    ),
    Entry(name="actor of PPO", source="Schulman et al., 2017", make=_actor, shape=(8,)),
)
