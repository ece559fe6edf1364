"""Small networks that are no plain chains, each written as a user would, for the tests of what reads and runs them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Forward = Callable[["Parts", Tensor], Tensor]


class Parts(nn.Module):
    """Layers for images of 4 channels, 6 x 6, and a forward() that combines some of them."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.c, self.d = nn.Conv2d(4, 4, 1), nn.Conv2d(8, 4, 3, padding=1)
        self.down, self.narrow = nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.Conv2d(4, 8, 1, stride=2)
        self.wide, self.depth, self.thin = (
            nn.Conv2d(4, 8, 1),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 4, 1),
        )
        self.bn_a, self.bn_b, self.bn_c, self.bn_8 = (nn.BatchNorm2d(n) for n in (4, 4, 4, 8))
        self.fc4, self.fc8, self.fc36 = nn.Linear(4, 3), nn.Linear(8, 3), nn.Linear(36, 3)
        self.long, self.hidden, self.out = nn.Linear(144, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.apart = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.grow, self.grow_apart = nn.ConvTranspose2d(8, 4, 2, 2), nn.ConvTranspose2d(8, 4, 3, 2, 1, 1, groups=2)
        self.bn_grow = nn.BatchNorm2d(4)
        self.squeeze, self.squeezed = nn.Linear(8, 4), nn.Linear(4, 8)
        self.relu, self.relu6 = nn.ReLU(inplace=True), nn.ReLU6()
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def _pooled(x: Tensor) -> Tensor:
    return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)


def _basic_block(m: Parts, x: Tensor) -> Tensor:
    """As torchvision's BasicBlock, with activations in place."""
    identity = x
    out = m.relu(m.bn_a(m.a(x)))
    out = m.bn_b(m.b(out))
    out += identity
    return m.fc4(_pooled(m.relu(out)))


def _pre_activation(m: Parts, x: Tensor) -> Tensor:
    x = m.c(x)
    out = m.a(F.relu(m.bn_a(x)))
    x = x + m.b(F.relu(m.bn_b(out)))
    return m.fc4(_pooled(F.relu(m.bn_c(x))))


def _downsampling(m: Parts, x: Tensor) -> Tensor:
    x = F.relu(m.a(x))
    return m.fc8(_pooled(F.relu(m.bn_8(m.down(x)) + m.narrow(x))))


def _inverted_residual(m: Parts, x: Tensor) -> Tensor:
    out = m.relu6(m.bn_8(m.wide(x)))
    out = m.relu6(m.depth(out))
    return m.fc4(_pooled(x + m.bn_a(m.thin(out))))


def _squeeze_and_excitation(m: Parts, x: Tensor) -> Tensor:
    """With linear layers, whose values become factors of channels; the product is in place."""
    x = m.down(x)
    factors = F.hardsigmoid(m.squeezed(F.relu(m.squeeze(_pooled(x)))))
    x *= factors.view(x.size(0), 8, 1, 1)
    return m.thin(x).flatten(1)


NETWORKS: dict[str, Forward] = {
    "basic block": _basic_block,
    "pre-activation": _pre_activation,
    "downsampling shortcut": _downsampling,
    "inverted residual": _inverted_residual,
    "shortcut from the input": lambda m, x: m.fc4(_pooled(x + m.a(x))),
    "one value added to itself": lambda m, x: m.fc4(_pooled((y := m.a(x)) + y)),
    "two additions": lambda m, x: m.fc4(_pooled(torch.add(m.a(x), m.b(x)).add(m.c(x)).relu())),
    "addition of pooled values": lambda m, x: m.long(F.relu(m.a(x)).flatten(1)) + m.hidden(m.long(m.b(x).flatten(1))),
    "flattened branches": lambda m, x: torch.cat([m.a(x).flatten(1), m.down(x).flatten(1)], 1),
    "inception": lambda m, x: m.fc8(_pooled(torch.cat([m.a(x), F.max_pool2d(m.c(x), 3, 1, 1)], 1))),
    "concatenation, then activation": lambda m, x: m.thin(F.relu(torch.cat([m.a(x), m.c(x)], 1))).flatten(1),
    "dense block": lambda m, x: m.thin(m.bn_8(torch.cat([y := m.c(x), m.a(F.relu(m.bn_a(y)))], 1)).relu()).flatten(1),
    "value read before and after its ReLU": lambda m, x: (m.b(F.relu(y := m.a(x))) + y).flatten(1),
    "pooled value read twice": lambda m, x: (m.b(y := F.max_pool2d(m.a(x), 2)) + F.relu(y)).flatten(1),
    "linear read twice": lambda m, x: m.out(m.hidden(y := F.relu(m.long(x.flatten(1)))) + y),
    "the end is an addition": lambda m, x: m.fc4(_pooled(m.a(x))) + m.fc4(_pooled(m.b(x))),
    "limits": lambda m, x: m.fc4(_pooled(F.hardtanh(m.a(x), -0.3, 0.4))),
    "leaky": lambda m, x: m.b(F.leaky_relu(m.a(x), 0.2)).flatten(1),
    "sigmoid and tanh": lambda m, x: (torch.sigmoid(m.a(x)) + m.b(x).tanh()).flatten(1),
    "SiLU": lambda m, x: m.fc4(_pooled(x + m.b(F.silu(m.a(x))))),
    "GELU": lambda m, x: m.thin(torch.cat([F.gelu(m.a(x)), F.gelu(m.b(x), approximate="tanh")], 1)).flatten(1),
    "MobileNetV3": lambda m, x: m.thin(m.depth(F.hardsigmoid(F.hardswish(m.bn_8(m.wide(x)))))).flatten(1),
    "gate by two convolutions": lambda m, x: m.fc4(
        _pooled(x * torch.sigmoid(m.thin(F.relu(m.wide(x.mean((2, 3), True))))))
    ),
    "squeeze and excitation": _squeeze_and_excitation,
    "factors that are expanded": lambda m, x: m.thin(
        (y := m.wide(x)) * torch.sigmoid(m.depth(F.adaptive_avg_pool2d(y, 1))).expand_as(y)
    ).flatten(1),
    "product of two branches": lambda m, x: m.fc4(_pooled(F.relu(m.a(x) * m.b(x)))),
    "square of flat values": lambda m, x: m.out((y := m.long(x.flatten(1))) * y),
    "the end is a product": lambda m, x: torch.mul(m.fc4(_pooled(m.a(x))), m.fc4(_pooled(x)).tanh()),
    "dilation": lambda m, x: m.fc4(_pooled(F.relu(m.apart(F.max_pool2d(m.a(x), 2, 1, dilation=2))))),
    "pooling over the edge": lambda m, x: m.fc4(_pooled(m.b(F.max_pool2d(F.relu(m.a(x)), 4, 3, ceil_mode=True)))),
    "images and their flat values": lambda m, x: m.out(m.long(x.flatten(1)) + m.long(m.a(x).flatten(1))),
}
"""The forward() of each network, by what it is."""

DECODERS: dict[str, Forward] = {
    "transposed convolution": lambda m, x: m.fc4(_pooled(m.a(F.relu(m.grow(m.down(x)))))),
    "U-Net": lambda m, x: m.d(torch.cat([y := m.a(x), F.relu(m.bn_grow(m.grow_apart(F.relu(m.down(y)))))], 1)).flatten(
        1
    ),
    "upsampling": lambda m, x: (m.c(x) + F.interpolate(m.thin(m.narrow(x)), scale_factor=2)).flatten(1),
}
"""Networks that need the size of their images."""


def network(name: str) -> Parts:
    """A network of NETWORKS or DECODERS in eval mode, with statistics that matter."""
    torch.manual_seed(len(name))
    module = Parts({**NETWORKS, **DECODERS}[name])
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 1.5)
    return module.eval()


def images(count: int = 24) -> Tensor:
    """Images (count, 4, 6, 6)."""
    return torch.randn(count, 4, 6, 6, generator=torch.Generator().manual_seed(5))
