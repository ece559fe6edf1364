"""The networks that come with zeroskip, by the names that commands take: `zeroskip.networks:lenet_5`."""

from zeroskip.model.networks import (
    digits_mlp,
    gpt,
    lenet_5,
    lenet_300_100,
    lstm,
    mobilenet_v1,
    plain_20,
    resnet_20,
    resnet_56,
)

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
