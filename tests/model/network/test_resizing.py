"""Padding and resizing as operations of their own: what is read of them computes what torch computes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.fold import fold

INPUTS = torch.randn(4, 2, 5, 6, generator=torch.Generator().manual_seed(3))

Forward = Callable[[Tensor], Tensor]


class Net(nn.Module):
    """A convolution, some operation, and another convolution."""

    def __init__(self, operation: Forward) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.first, self.last, self.operation = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 2), operation

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.operation(self.first(x))).flatten(1)


OPERATIONS: dict[str, Forward] = {
    "zeros": lambda x: F.pad(x, (1, 2)),
    "a number": lambda x: F.pad(x, (0, 1, 2, 0), value=-1.5),
    "channels": lambda x: F.pad(x[:, :1], (0, 0, 0, 0, 1, 1)),
    "reflected": lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect"),
    "repeated": lambda x: F.pad(x, (3, 1, 0, 2), mode="replicate"),
    "around": lambda x: F.pad(x, (2, 1, 3, 0), mode="circular"),
    "twice as large": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "corners": lambda x: F.interpolate(x, size=(7, 5), mode="bilinear", align_corners=True),
    "smaller": lambda x: F.interpolate(x, size=(2, 3), mode="bilinear", align_corners=False),
    "of another factor": lambda x: F.interpolate(x, scale_factor=(1.5, 2.3), mode="bilinear"),
    "a sequence": lambda x: F.interpolate(x.flatten(2), size=16, mode="linear").unflatten(2, (4, 4)),
}

LAYERS: dict[str, nn.Module] = {
    "ZeroPad2d": nn.ZeroPad2d((1, 0, 2, 1)),
    "ConstantPad2d": nn.ConstantPad2d(1, 0.7),
    "ReflectionPad2d": nn.ReflectionPad2d(2),
    "ReplicationPad2d": nn.ReplicationPad2d((1, 2, 3, 0)),
    "CircularPad2d": nn.CircularPad2d(1),
    "Upsample": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
}


@pytest.mark.parametrize("name", [*OPERATIONS, *LAYERS])
def test_a_folded_network_computes_what_torch_computes(name: str) -> None:
    module = Net(OPERATIONS.get(name) or LAYERS[name]).eval()
    folded = fold(module, INPUTS).double()
    wanted = module.double()(INPUTS.double())
    assert (folded(INPUTS.double()) - wanted).abs().max() <= 1e-6 * wanted.abs().max()


REFUSED: dict[str, tuple[Forward, str]] = {
    "a cut": (
        lambda x: F.pad(x, (-1, 2)),
        "operation 'pad' pads by 'constant' and (-1, 2); supported: constant",
    ),
    "antialias": (
        lambda x: F.interpolate(x, size=(2, 2), mode="bilinear", antialias=True),
        "operation 'interpolate' resizes values of shape (3, 3, 3, 4) by bilinear; supported: (samples, channels, ...)",
    ),
    "bicubic": (
        lambda x: F.interpolate(x, size=(4, 4), mode="bicubic"),
        "operation 'interpolate' is interpolate; s",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(name: str) -> None:
    operation, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        fold(Net(operation).eval(), INPUTS)
