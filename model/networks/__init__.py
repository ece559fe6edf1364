"""Example networks. The initial weights of each depend on its `seed` alone."""

from zeroskip.model.networks.gpt import gpt
from zeroskip.model.networks.lenet import digits_mlp, lenet_5, lenet_300_100
from zeroskip.model.networks.lstm import lstm
from zeroskip.model.networks.mobilenet import mobilenet_v1
from zeroskip.model.networks.residual import plain_20, resnet_20, resnet_56

__all__ = [
    "digits_mlp",
    "gpt",
    "lenet_5",
    "lenet_300_100",
    "lstm",
    "mobilenet_v1",
    "plain_20",
    "resnet_20",
    "resnet_56",
]
