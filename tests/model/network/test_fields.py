"""Every field of every supported module, and every argument of its function, is honoured as in torch, or refused."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.fold import fold

IMAGES, LINES, FLAT = (4, 9, 8), (4, 12), (12,)
"""The shapes of the samples."""


def settled(module: nn.Module, seed: int = 5) -> nn.Module:
    """The module with random parameters and statistics, so that each of them matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in [*module.parameters(), *module.buffers()]:
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.2)
                value.mul_(torch.where(torch.rand(value.shape, generator=generator) < 0.4, -1.0, 1.0))
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_var is not None:
                layer.running_var.abs_()
    return module


def samples(shape: tuple[int, ...], count: int = 6) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(6))


def require_as_in_torch(module: nn.Module, shape: tuple[int, ...]) -> None:
    """The folded network, with samples and (where it can be read) without, gives what torch gives."""
    settled(module)
    given = samples(shape)
    module.train()
    folded = fold(module, given)
    assert module.training
    reference = module.double().eval()
    with torch.no_grad():
        wanted = reference(given.double()).flatten(1)
        found = folded.double()((given if folded.images else given.flatten(1)).double())
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def conv(*fields: Any, **named: Any) -> nn.Module:
    return nn.Conv2d(*(fields or (4, 6, 3)), **named)


def pooled(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 1), layer)


def lined(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv1d(4, 4, 1), layer)


def flattened(**fields: Any) -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 1), nn.Flatten(**fields))


class Line(nn.Module):
    """A network of one operation of the test's own, after a layer and before another, flat where `inputs` is not 0."""

    def __init__(self, operation: Callable[[Line, Tensor], Tensor], inputs: int = 0) -> None:
        super().__init__()
        self.operation = operation
        self.conv = nn.Linear(12, 12) if inputs else nn.Conv2d(4, 4, 1)
        self.weight = nn.Parameter(torch.ones(4, 4, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(self, self.conv(x))


OK = ""
"""What a case expects where the field is honoured; otherwise a part of the message."""

Case = tuple[nn.Module, str]

MODULES: dict[type[nn.Module], tuple[tuple[int, ...], dict[str, list[Case]]]] = {
    nn.Conv2d: (
        IMAGES,
        {
            "in_channels": [(conv(4, 6, 3), OK)],
            "out_channels": [(conv(4, 1, 3), OK)],
            "kernel_size": [(conv(4, 6, (1, 5)), OK), (conv(4, 6, 1), OK), (conv(4, 3, (9, 8)), OK)],
            "stride": [(conv(stride=2), OK), (conv(stride=(3, 1)), OK)],
            "padding": [
                (conv(padding=2), OK),
                (conv(padding=(0, 1)), OK),
                (conv(padding="same"), OK),
                (conv(4, 6, (5, 1), padding="same"), OK),
                (conv(padding="valid", stride=2), OK),
                (conv(4, 6, 2, padding="same"), "supported: odd kernels"),
                (conv(4, 6, (3, 4), padding="same"), "supported: odd kernels"),
            ],
            "dilation": [
                (conv(dilation=2), OK),
                (conv(dilation=(1, 2), stride=2, padding=(1, 2)), OK),
                (conv(4, 6, 3, dilation=3, padding="same"), OK),
                (conv(4, 6, (2, 3), dilation=2, padding="same"), "supported: odd kernels"),
            ],
            "groups": [(conv(4, 6, 3, groups=2), OK), (conv(4, 8, 3, groups=4), OK)],
            "bias": [(conv(bias=False), OK), (conv(bias=True), OK)],
            "padding_mode": [
                *[
                    (conv(4, 6, kernel, padding=padding, padding_mode=mode), f"pads by '{mode}'")
                    for mode in ("reflect", "replicate", "circular")
                    for kernel, padding in ((3, 1), (3, "same"), (3, (0, 1)), ((1, 3), "same"), (2, "same"))
                ],
                (conv(padding="valid", padding_mode="reflect"), OK),
                (conv(padding=0, padding_mode="circular"), OK),
                (conv(4, 6, 1, padding="same", padding_mode="reflect"), OK),
                (conv(padding="same", padding_mode="zeros"), OK),
            ],
            "dtype": [(conv(dtype=torch.float64), OK), (conv(dtype=torch.complex64), "must be real numbers")],
        },
    ),
    nn.Linear: (
        FLAT,
        {
            "in_features": [(nn.Linear(12, 3), OK)],
            "out_features": [(nn.Linear(12, 1), OK)],
            "bias": [(nn.Linear(12, 3, bias=False), OK)],
            "dtype": [
                (nn.Linear(12, 3, dtype=torch.float64), OK),
                (nn.Linear(12, 3, dtype=torch.complex128), "must be real numbers"),
            ],
        },
    ),
    nn.MaxPool2d: (
        IMAGES,
        {
            "kernel_size": [(pooled(nn.MaxPool2d((2, 3))), OK)],
            "stride": [(pooled(nn.MaxPool2d(3, stride=1)), OK), (pooled(nn.MaxPool2d(2, (1, 3))), OK)],
            "padding": [(pooled(nn.MaxPool2d(3, padding=1)), OK), (pooled(nn.MaxPool2d(3, padding=(1, 0))), OK)],
            "dilation": [
                (pooled(nn.MaxPool2d(2, dilation=2)), OK),
                (pooled(nn.MaxPool2d((2, 3), dilation=(3, 2), stride=1, padding=1)), OK),
            ],
            "return_indices": [(pooled(nn.MaxPool2d(2, return_indices=True)), "returns indices")],
            "ceil_mode": [
                (pooled(nn.MaxPool2d(2, ceil_mode=True)), OK),
                (pooled(nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)), OK),
                (pooled(nn.MaxPool2d((3, 2), ceil_mode=True)), OK),
                # The last window would begin behind the image.
                (pooled(nn.MaxPool2d(2, (5, 4), padding=1, ceil_mode=True)), OK),
                (pooled(nn.MaxPool2d(2, 3, dilation=3, padding=1, ceil_mode=True)), OK),
            ],
        },
    ),
    nn.AvgPool2d: (
        IMAGES,
        {
            "kernel_size": [(pooled(nn.AvgPool2d((2, 3))), OK)],
            "stride": [(pooled(nn.AvgPool2d(3, stride=1)), OK), (pooled(nn.AvgPool2d(2, (1, 3))), OK)],
            "padding": [(pooled(nn.AvgPool2d(3, padding=1)), OK), (pooled(nn.AvgPool2d(3, padding=(1, 0))), OK)],
            "ceil_mode": [
                (pooled(nn.AvgPool2d(2, ceil_mode=True)), "ceil_mode = True"),
                (pooled(nn.AvgPool2d((3, 2), ceil_mode=True)), OK),
            ],
            "count_include_pad": [
                (pooled(nn.AvgPool2d(3, padding=1, count_include_pad=False)), OK),
                (pooled(nn.AvgPool2d(3, count_include_pad=False)), OK),
            ],
            "divisor_override": [(pooled(nn.AvgPool2d(2, divisor_override=3)), "divisor_override = 3")],
        },
    ),
    nn.AdaptiveAvgPool2d: (
        IMAGES,
        {
            "output_size": [
                (pooled(nn.AdaptiveAvgPool2d(1)), OK),
                (pooled(nn.AdaptiveAvgPool2d((3, 2))), OK),
                (pooled(nn.AdaptiveAvgPool2d((None, 4))), OK),
                (pooled(nn.AdaptiveAvgPool2d((9, 8))), OK),
                (pooled(nn.AdaptiveAvgPool2d(2)), "9 x 8 to 2 x 2; supported: sizes that divide"),
            ]
        },
    ),
    nn.AdaptiveMaxPool2d: (
        IMAGES,
        {
            "output_size": [
                (pooled(nn.AdaptiveMaxPool2d(1)), OK),
                (pooled(nn.AdaptiveMaxPool2d((3, 4))), OK),
                (pooled(nn.AdaptiveMaxPool2d((None, 1))), OK),
                (pooled(nn.AdaptiveMaxPool2d(5)), "9 x 8 to 5 x 5; supported: sizes that divide"),
            ],
            "return_indices": [(pooled(nn.AdaptiveMaxPool2d(1, return_indices=True)), "returns indices")],
        },
    ),
    nn.BatchNorm2d: (
        IMAGES,
        {
            "num_features": [(pooled(nn.BatchNorm2d(4)), OK)],
            "eps": [(pooled(nn.BatchNorm2d(4, eps=0.5)), OK)],
            "momentum": [(pooled(nn.BatchNorm2d(4, momentum=None)), OK)],
            "affine": [(pooled(nn.BatchNorm2d(4, affine=False)), OK)],
            "track_running_stats": [(pooled(nn.BatchNorm2d(4, track_running_stats=False)), "no running statistics")],
            "bias": [(pooled(nn.BatchNorm2d(4)), OK)],
            "dtype": [(pooled(nn.BatchNorm2d(4)).double(), OK)],
        },
    ),
    nn.BatchNorm1d: (
        FLAT,
        {
            "num_features": [(nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5)), OK)],
            "eps": [(nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5, eps=0.5)), OK)],
            "momentum": [(nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5, momentum=0.9)), OK)],
            "affine": [(nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5, affine=False)), OK)],
            "track_running_stats": [
                (nn.Sequential(nn.BatchNorm1d(12, track_running_stats=False), nn.Linear(12, 5)), "no running statist")
            ],
            "bias": [(nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5)), OK)],
            "dtype": [(nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5)).double(), OK)],
        },
    ),
    nn.Conv1d: (
        LINES,
        {
            "in_channels": [(nn.Conv1d(4, 6, 3), OK)],
            "out_channels": [(nn.Conv1d(4, 1, 3), OK)],
            "kernel_size": [(nn.Conv1d(4, 6, 1), OK), (nn.Conv1d(4, 6, 12), OK)],
            "stride": [(nn.Conv1d(4, 6, 3, stride=2), OK)],
            "padding": [
                (nn.Conv1d(4, 6, 3, padding=2), OK),
                (nn.Conv1d(4, 6, 3, padding="same"), OK),
                (nn.Conv1d(4, 6, 2, padding="same"), "supported: odd kernels"),
            ],
            "dilation": [(nn.Conv1d(4, 6, 3, dilation=3), OK)],
            "groups": [(nn.Conv1d(4, 6, 3, groups=2), OK)],
            "bias": [(nn.Conv1d(4, 6, 3, bias=False), OK)],
            "padding_mode": [(nn.Conv1d(4, 6, 3, padding=1, padding_mode="reflect"), "pads by 'reflect'")],
            "dtype": [(nn.Conv1d(4, 6, 3, dtype=torch.float64), OK)],
        },
    ),
    nn.ConvTranspose2d: (
        IMAGES,
        {
            "in_channels": [(nn.ConvTranspose2d(4, 6, 3), OK)],
            "out_channels": [(nn.ConvTranspose2d(4, 1, 3), OK)],
            "kernel_size": [(nn.ConvTranspose2d(4, 6, (1, 5)), OK)],
            "stride": [(nn.ConvTranspose2d(4, 6, 3, stride=2), OK), (nn.ConvTranspose2d(4, 6, 3, (1, 3)), OK)],
            "padding": [
                (nn.ConvTranspose2d(4, 6, 3, padding=(2, 1)), OK),
                (nn.ConvTranspose2d(4, 6, 2, 2, padding=2), "with padding (2, 2), more than its kernel reaches; supp"),
            ],
            "output_padding": [(nn.ConvTranspose2d(4, 6, 3, 3, padding=1, output_padding=(2, 1)), OK)],
            "groups": [
                (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), OK),
                (nn.ConvTranspose2d(4, 8, 3, groups=4), OK),
            ],
            "bias": [(nn.ConvTranspose2d(4, 6, 3, bias=False), OK)],
            "dilation": [(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, dilation=(2, 3)), OK)],
            "padding_mode": [(nn.ConvTranspose2d(4, 6, 3, padding_mode="zeros"), OK)],
            "dtype": [(nn.ConvTranspose2d(4, 6, 3, dtype=torch.float64), OK)],
        },
    ),
    nn.ConvTranspose1d: (
        LINES,
        {
            "in_channels": [(nn.ConvTranspose1d(4, 6, 3), OK)],
            "out_channels": [(nn.ConvTranspose1d(4, 1, 3), OK)],
            "kernel_size": [(nn.ConvTranspose1d(4, 6, 5), OK)],
            "stride": [(nn.ConvTranspose1d(4, 6, 3, stride=2), OK)],
            "padding": [(nn.ConvTranspose1d(4, 6, 3, padding=1), OK)],
            "output_padding": [(nn.ConvTranspose1d(4, 6, 3, 3, output_padding=2), OK)],
            "groups": [(nn.ConvTranspose1d(4, 6, 3, groups=2), OK)],
            "bias": [(nn.ConvTranspose1d(4, 6, 3, bias=False), OK)],
            "dilation": [(nn.ConvTranspose1d(4, 6, 3, dilation=2), OK)],
            "padding_mode": [(nn.ConvTranspose1d(4, 6, 3, padding_mode="zeros"), OK)],
            "dtype": [(nn.ConvTranspose1d(4, 6, 3, dtype=torch.float64), OK)],
        },
    ),
    nn.MaxPool1d: (
        LINES,
        {
            "kernel_size": [(lined(nn.MaxPool1d(3)), OK), (lined(nn.MaxPool1d((2,))), OK)],
            "stride": [(lined(nn.MaxPool1d(3, stride=1)), OK)],
            "padding": [(lined(nn.MaxPool1d(3, padding=1)), OK)],
            "dilation": [(lined(nn.MaxPool1d(3, dilation=2)), OK)],
            "return_indices": [(lined(nn.MaxPool1d(2, return_indices=True)), "returns indices")],
            "ceil_mode": [(lined(nn.MaxPool1d(5, ceil_mode=True)), OK)],
        },
    ),
    nn.AvgPool1d: (
        LINES,
        {
            "kernel_size": [(lined(nn.AvgPool1d(3)), OK)],
            "stride": [(lined(nn.AvgPool1d(3, stride=1)), OK)],
            "padding": [(lined(nn.AvgPool1d(3, padding=1)), OK)],
            "ceil_mode": [
                (lined(nn.AvgPool1d(5, ceil_mode=True)), "ceil_mode = True"),
                (lined(nn.AvgPool1d(3, ceil_mode=True)), OK),
            ],
            "count_include_pad": [(lined(nn.AvgPool1d(3, padding=1, count_include_pad=False)), OK)],
        },
    ),
    nn.AdaptiveAvgPool1d: (
        LINES,
        {
            "output_size": [
                (lined(nn.AdaptiveAvgPool1d(1)), OK),
                (lined(nn.AdaptiveAvgPool1d((4,))), OK),
                (lined(nn.AdaptiveAvgPool1d(12)), OK),
                (lined(nn.AdaptiveAvgPool1d(5)), "1 x 12 to 1 x 5; supported: sizes that divide"),
            ]
        },
    ),
    nn.AdaptiveMaxPool1d: (
        LINES,
        {
            "output_size": [(lined(nn.AdaptiveMaxPool1d(1)), OK), (lined(nn.AdaptiveMaxPool1d(4)), OK)],
            "return_indices": [(lined(nn.AdaptiveMaxPool1d(1, return_indices=True)), "returns indices")],
        },
    ),
    nn.Upsample: (
        IMAGES,
        {
            "size": [(pooled(nn.Upsample((18, 8))), OK), (pooled(nn.Upsample((9, 5))), "in no regular order")],
            "scale_factor": [(pooled(nn.Upsample(scale_factor=2)), OK)],
            "mode": [
                (pooled(nn.Upsample(scale_factor=2, mode="bilinear")), OK),
                (pooled(nn.Upsample(scale_factor=2, mode="bicubic")), "is a Upsample"),
            ],
            "align_corners": [(pooled(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)), OK)],
            "recompute_scale_factor": [(pooled(nn.Upsample(scale_factor=2, recompute_scale_factor=True)), OK)],
        },
    ),
    nn.GroupNorm: (
        IMAGES,
        {
            "num_groups": [(pooled(nn.GroupNorm(2, 4)), OK), (pooled(nn.GroupNorm(1, 4)), OK)],
            "num_channels": [(pooled(nn.GroupNorm(4, 4)), OK)],
            "eps": [(pooled(nn.GroupNorm(2, 4, eps=0.5)), OK)],
            "affine": [(pooled(nn.GroupNorm(2, 4, affine=False)), OK)],
        },
    ),
    nn.InstanceNorm2d: (
        IMAGES,
        {
            "num_features": [(pooled(nn.InstanceNorm2d(4)), OK)],
            "eps": [(pooled(nn.InstanceNorm2d(4, eps=0.5)), OK)],
            "momentum": [(pooled(nn.InstanceNorm2d(4, momentum=0.5)), OK)],
            "affine": [(pooled(nn.InstanceNorm2d(4, affine=True)), OK)],
            "track_running_stats": [(pooled(nn.InstanceNorm2d(4, track_running_stats=True)), "running statistics")],
        },
    ),
    nn.PReLU: (
        IMAGES,
        {
            "num_parameters": [(pooled(nn.PReLU()), OK), (pooled(nn.PReLU(4)), OK)],
            "init": [(pooled(nn.PReLU(4, init=-0.3)), OK)],
        },
    ),
    nn.ELU: (
        IMAGES,
        {"alpha": [(pooled(nn.ELU(0.3)), OK)], "inplace": [(pooled(nn.ELU(inplace=True)), OK)]},
    ),
    nn.SELU: (IMAGES, {"inplace": [(pooled(nn.SELU(inplace=True)), OK)]}),
    nn.Mish: (IMAGES, {"inplace": [(pooled(nn.Mish(inplace=True)), OK)]}),
    nn.Softplus: (
        IMAGES,
        {
            "beta": [(pooled(nn.Softplus(2)), "has beta and threshold [2")],
            "threshold": [(pooled(nn.Softplus(threshold=5)), "has beta and threshold"), (pooled(nn.Softplus()), OK)],
        },
    ),
    nn.PixelShuffle: (IMAGES, {"upscale_factor": [(pooled(nn.PixelShuffle(2)), OK)]}),
    nn.Flatten: (
        IMAGES,
        {
            "start_dim": [(flattened(start_dim=-3), OK), (flattened(start_dim=2), OK)],
            "end_dim": [(flattened(end_dim=3), OK), (flattened(end_dim=-2), OK)],
        },
    ),
    nn.ReLU: (IMAGES, {"inplace": [(pooled(nn.ReLU(inplace=True)), OK), (pooled(nn.ReLU()), OK)]}),
    nn.Dropout: (
        IMAGES,
        {"p": [(pooled(nn.Dropout(1.0)), OK)], "inplace": [(pooled(nn.Dropout(0.5, inplace=True)), OK)]},
    ),
    nn.Dropout2d: (
        IMAGES,
        {"p": [(pooled(nn.Dropout2d(1.0)), OK)], "inplace": [(pooled(nn.Dropout2d(0.5, inplace=True)), OK)]},
    ),
}

CASES = [
    pytest.param(shape, *case, id=f"{kind.__name__}-{field}-{number}")
    for kind, (shape, fields) in MODULES.items()
    for field, cases in fields.items()
    for number, case in enumerate(cases)
]


@pytest.mark.parametrize("kind", MODULES, ids=lambda kind: kind.__name__)
def test_every_field_of_a_module_has_a_case(kind: type[nn.Module]) -> None:
    """A field that a later torch adds fails here."""
    given = {name for name, one in inspect.signature(kind).parameters.items() if one.kind != one.VAR_KEYWORD}
    optional = {"device", "dtype", "bias"}
    assert given - optional <= set(MODULES[kind][1]) <= given | optional


def check(shape: tuple[int, ...], module: nn.Module, expected: str) -> None:
    if expected == OK:
        require_as_in_torch(module, shape)
        return
    with pytest.raises(ValueError, match=re.escape(expected)):
        fold(module, samples(shape))


@pytest.mark.parametrize(("shape", "module", "expected"), CASES)
def test_a_field_is_honoured_or_refused(shape: tuple[int, ...], module: nn.Module, expected: str) -> None:
    check(shape, module, expected)


FUNCTIONS: dict[str, Case] = {
    "relu": (Line(lambda m, x: F.relu(x)), OK),
    "relu in place": (Line(lambda m, x: F.relu(x, inplace=True)), OK),
    "relu_": (Line(lambda m, x: x.relu_()), OK),
    "relu6": (Line(lambda m, x: F.relu6(x)), OK),
    "clamp": (Line(lambda m, x: x.clamp(min=0)), OK),
    "max_pool2d": (Line(lambda m, x: F.max_pool2d(x, 2, stride=1, padding=1)), OK),
    "torch.max_pool2d": (Line(lambda m, x: torch.max_pool2d(x, (3, 2))), OK),
    "max_pool2d ceil_mode": (Line(lambda m, x: F.max_pool2d(x, 2, ceil_mode=True)), OK),
    "max_pool2d dilation": (Line(lambda m, x: F.max_pool2d(x, 2, dilation=(1, 2))), OK),
    "max_pool2d return_indices": (
        Line(lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0]),
        "is max_pool2d_with_indices",
    ),
    "avg_pool2d": (Line(lambda m, x: F.avg_pool2d(x, 3, 2, 1)), OK),
    "avg_pool2d ceil_mode": (Line(lambda m, x: F.avg_pool2d(x, 2, ceil_mode=True)), "ceil_mode = True"),
    "avg_pool2d count_include_pad": (
        Line(lambda m, x: F.avg_pool2d(x, 3, padding=1, count_include_pad=False)),
        OK,
    ),
    "avg_pool2d divisor": (Line(lambda m, x: F.avg_pool2d(x, 2, divisor_override=1)), "divisor_override = 1"),
    "adaptive_avg_pool2d": (Line(lambda m, x: F.adaptive_avg_pool2d(x, (3, 4))), OK),
    "adaptive_max_pool2d": (Line(lambda m, x: F.adaptive_max_pool2d(x, (3, 1))), OK),
    "adaptive_max_pool2d indices": (
        Line(lambda m, x: F.adaptive_max_pool2d(x, 1, return_indices=True)[0]),
        "is adaptive_max_pool2d_with_indices",
    ),
    "lp_pool2d": (Line(lambda m, x: F.lp_pool2d(x, 2.0, 2)), "is lp_pool2d"),
    "dropout": (Line(lambda m, x: F.dropout(x, 0.9, m.training)), OK),
    "dropout always": (Line(lambda m, x: F.dropout(x, 0.9)), "drops values in eval mode too"),
    "dropout training=True": (Line(lambda m, x: F.dropout(x, training=True)), "drops values in eval mode too"),
    "dropout2d": (Line(lambda m, x: F.dropout2d(x, 0.9, m.training)), OK),
    "dropout2d always": (Line(lambda m, x: F.dropout2d(x, 0.9)), "drops values in eval mode too"),
    "torch.dropout": (Line(lambda m, x: torch.dropout(x, 0.9, m.training)), OK),
    "torch.dropout always": (Line(lambda m, x: torch.dropout(x, 0.9, train=True)), "drops values in eval mode too"),
    "flatten": (Line(lambda m, x: torch.flatten(x, 1)), OK),
    "flatten from the end": (Line(lambda m, x: x.flatten(-3)), OK),
    "flatten to": (Line(lambda m, x: x.flatten(1, 3)), OK),
    "flatten samples": (Line(lambda m, x: torch.flatten(x)), "makes values of shape (864,) of (3, 4, 9, 8), 3 samples"),
    "flatten height and width": (Line(lambda m, x: x.flatten(2)), OK),
    "view": (Line(lambda m, x: x.view(-1, 288)), OK),
    "view with the number of samples": (Line(lambda m, x: x.view(x.size(0), -1)), OK),
    "view with a count": (Line(lambda m, x: x.view(len(x), x[0].numel())), OK),
    "view of features": (Line(lambda m, x: x.view(-1, x.shape[1] * x.shape[2] * x.shape[3])), OK),
    "reshape with -1": (Line(lambda m, x: x.reshape(x.shape[0], -1)), OK),
    "reshape": (Line(lambda m, x: torch.reshape(x, (-1, 288))), OK),
    "reshape to itself": (Line(lambda m, x: x.reshape(-1, 4, 9, 8)), OK),
    "view of another number of samples": (
        Line(lambda m, x: x.view(-1, 144)),
        "the network gives values of shape (6, 144)",
    ),
    "view of two samples as one": (
        Line(lambda m, x: x.reshape(1, -1)),
        "makes values of shape (1, 864) of (3, 4, 9, 8)",
    ),
    "squeeze of an average": (Line(lambda m, x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)), OK),
    "squeeze of both": (Line(lambda m, x: F.adaptive_avg_pool2d(x, 1).squeeze((2, 3))), OK),
    "view as images of one value": (Line(lambda m, x: x.view(-1, 288, 1, 1)), OK),
    "permute": (Line(lambda m, x: x.permute(0, 2, 3, 1).flatten(1)), OK),
    "transpose": (Line(lambda m, x: x.transpose(2, 3)), OK),
    "permute of samples": (
        Line(lambda m, x: x.permute(1, 0, 2, 3)),
        "makes values of shape (4, 3, 9, 8) of (3, 4, 9, 8)",
    ),
    "mean": (Line(lambda m, x: x.mean((2, 3))), OK),
    "mean keepdim": (Line(lambda m, x: x.mean((-1, -2), keepdim=True)), OK),
    "mean positional keepdim": (Line(lambda m, x: torch.mean(x, (2, 3), True)), OK),
    "mean of one dimension": (Line(lambda m, x: x.mean(3)), OK),
    "mean of channels": (Line(lambda m, x: x.mean((1, 2), keepdim=True)), OK),
    "mean of samples": (Line(lambda m, x: x.mean(0, keepdim=True).expand(len(x), -1, -1, -1)), "is a mean over 0"),
    "mean of all": (Line(lambda m, x: x.mean()), "mean"),
    "contiguous": (Line(lambda m, x: x.contiguous().float().to(x.dtype).view(-1, 288)), OK),
    "half": (Line(lambda m, x: x.to(torch.float64)), "converts to another type"),
    "conv2d of a parameter": (Line(lambda m, x: F.conv2d(x, m.weight)), OK),
    "conv2d of a layer": (Line(lambda m, x: F.conv2d(x, m.conv.weight)), OK),
    "conv2d of a value": (Line(lambda m, x: F.conv2d(x, m.weight * x.mean())), "is a mean over None"),
    "linear of a parameter": (Line(lambda m, x: F.linear(x.flatten(1), torch.ones(3, 288, dtype=x.dtype))), OK),
    "batch_norm": (Line(lambda m, x: F.batch_norm(x, torch.zeros(4), torch.ones(4))), "batch_norm"),
    "scaled": (Line(lambda m, x: x * 2), OK),
    "shifted in place": (Line(lambda m, x: x.add_(1)), OK),
    "channel": (Line(lambda m, x: x[:, :2]), OK),
    "chunks": (Line(lambda m, x: x.chunk(2, 1)[1]), OK),
    "irregular": (Line(lambda m, x: x[:, :, [0, 1, 3, 4, 8]]), OK),
    "pad": (Line(lambda m, x: F.pad(x, (1, 1))), OK),
    "interpolate": (Line(lambda m, x: F.interpolate(x, scale_factor=2.0)), OK),
    "interpolate linearly": (Line(lambda m, x: F.interpolate(x, scale_factor=2.0, mode="bilinear")), OK),
    "interpolate bicubically": (
        Line(lambda m, x: F.interpolate(x, scale_factor=2.0, mode="bicubic")),
        "is interpolate",
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_honoured_or_refused(name: str) -> None:
    check(IMAGES, *FUNCTIONS[name])


SOFTMAXES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "Softmax": (nn.Softmax(dim=1), OK),
    "Softmax from the end": (nn.Softmax(dim=-1), OK),
    "LogSoftmax": (nn.LogSoftmax(dim=1), OK),
    "F.softmax": (lambda x: F.softmax(x, dim=1), OK),
    "F.log_softmax": (lambda x: F.log_softmax(x, dim=-1), OK),
    "torch.softmax": (lambda x: torch.softmax(x, 1), OK),
    "method": (lambda x: x.log_softmax(1), OK),
    "then dropout": (lambda x: F.dropout(F.softmax(x, 1), training=False), OK),
    "over samples": (nn.Softmax(dim=0), "is a softmax over dimension 0; supported: 1"),
    "F over samples": (lambda x: F.log_softmax(x, dim=0), "is a log_softmax over dimension 0; supported: 1"),
    "in half precision": (lambda x: F.softmax(x, 1, dtype=torch.float16), "is a softmax in torch.float16"),
    "softmin": (nn.Softmin(dim=1), "is a Softmin"),
    "then ReLU": (lambda x: F.relu(F.log_softmax(x, 1)), "is a log_softmax before operation 'relu'; supported: at"),
    "negative": (lambda x: -F.log_softmax(x, 1), "is a log_softmax before operation 'neg'"),
}


class Ending(nn.Module):
    """A classifier that ends in an operation of the test's own."""

    def __init__(self, ending: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Linear(12, 5)
        self.ending = ending

    def forward(self, x: Tensor) -> Tensor:
        return self.ending(self.first(x))


@pytest.mark.parametrize("name", SOFTMAXES)
def test_a_softmax_is_left_out_at_the_end_or_refused(name: str) -> None:
    ending, expected = SOFTMAXES[name]
    module = settled(Ending(ending))
    if expected != OK:
        with pytest.raises(ValueError, match=re.escape(expected)):
            fold(module, samples(FLAT))
        return
    logits = module.first(samples(FLAT))
    torch.testing.assert_close(fold(module, samples(FLAT))(samples(FLAT)), logits)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Sequential(nn.Conv2d(4, 5, (9, 8)), nn.Softmax(dim=1), nn.Flatten()), OK),
        (nn.Sequential(nn.Conv2d(4, 5, 3), nn.AdaptiveAvgPool2d(1), nn.LogSoftmax(dim=1)), OK),
        (nn.Sequential(nn.Conv2d(4, 5, (9, 8)), nn.Softmax2d()), OK),
        (nn.Sequential(nn.Conv2d(4, 5, (9, 8)), nn.Softmax(dim=-1)), "over dimension -1"),
        (nn.Sequential(nn.Conv2d(4, 5, 8), nn.Softmax(dim=1)), "is a softmax on images"),
    ],
)
def test_a_softmax_of_images(module: nn.Module, expected: str) -> None:
    settled(module)
    if expected != OK:
        with pytest.raises(ValueError, match=re.escape(expected)):
            fold(module, samples(IMAGES))
        return
    logits = nn.Sequential(*[layer for layer in module if "Softmax" not in type(layer).__name__])
    torch.testing.assert_close(fold(module, samples(IMAGES))(samples(IMAGES)), logits(samples(IMAGES)).flatten(1))


def changed(module: nn.Module, **attributes: Any) -> nn.Module:
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (changed(conv(), padding=(1, 1)), OK),
        (changed(conv(), padding="same"), OK),
        (changed(conv(padding=1), padding_mode="circular"), "pads by 'circular'"),
        (changed(conv(padding="same"), padding_mode="reflect"), "pads by 'reflect'"),
        (changed(conv(padding=1, padding_mode="circular"), padding_mode="zeros"), OK),
        (changed(conv(), dilation=(2, 2)), OK),
        (changed(conv(), kernel_size=(5, 5)), OK),
        (changed(conv(padding="same"), weight=nn.Parameter(torch.ones(6, 4, 5, 5))), OK),
        (pooled(changed(nn.BatchNorm2d(4), affine=False)), OK),
        (pooled(changed(nn.BatchNorm2d(4), eps=0.7, track_running_stats=False)), OK),
        (pooled(changed(nn.BatchNorm2d(4), running_mean=None, running_var=None)), "no running statistics"),
        (pooled(changed(nn.MaxPool2d(2), ceil_mode=True)), OK),
        (pooled(changed(nn.AvgPool2d(2), divisor_override=5)), "divisor_override = 5"),
    ],
)
def test_attributes_that_were_changed_later(module: nn.Module, expected: str) -> None:
    check(IMAGES, module, expected)


def norm() -> nn.Module:
    return nn.BatchNorm2d(4)


BATCH_NORMS: dict[str, nn.Module] = {
    "after ReLU, before a convolution": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.Conv2d(4, 3, 3)),
    "before one of groups": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.Conv2d(4, 6, 3, groups=2)),
    "before a depthwise one": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.Conv2d(4, 8, 3, groups=4)),
    "before one that pads": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.Conv2d(4, 3, 3, padding=1)),
    "before one without bias": nn.Sequential(nn.ReLU(), norm(), nn.Conv2d(4, 3, 3, bias=False, padding="same"))[1:],
    "on the inputs": nn.Sequential(norm(), nn.Conv2d(4, 3, 3, padding=2)),
    "twice": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), norm(), nn.Conv2d(4, 3, 3, padding=1)),
    "before a ReLU": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.ReLU(), nn.Conv2d(4, 3, 3)),
    "before a max pooling": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.MaxPool2d(2)),
    "before an average": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.AvgPool2d(2), nn.Conv2d(4, 2, 2)),
    "before an average that pads": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.AvgPool2d(2, padding=1)),
    "after a max pooling": nn.Sequential(nn.Conv2d(4, 4, 3), nn.MaxPool2d(2), norm(), nn.Conv2d(4, 2, 2)),
    "before flattening": nn.Sequential(nn.Conv2d(4, 4, 8), nn.ReLU(), norm(), nn.Flatten(), nn.Linear(8, 3)),
    "before flattening at the end": nn.Sequential(nn.Conv2d(4, 4, 8), nn.ReLU(), norm(), nn.Flatten()),
    "before flattening and a ReLU": nn.Sequential(
        nn.Conv2d(4, 4, 8), nn.ReLU(), norm(), nn.Flatten(), nn.ReLU(), nn.Linear(8, 3)
    ),
    "and one of the flat values": nn.Sequential(
        nn.Conv2d(4, 4, 8), nn.ReLU(), norm(), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 3)
    ),
    "before a global average": nn.Sequential(
        nn.Conv2d(4, 4, 3), nn.ReLU(), norm(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ),
    "at the end": nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), norm()),
}


@pytest.mark.parametrize("name", BATCH_NORMS)
def test_batch_normalisation_stands_anywhere(name: str) -> None:
    require_as_in_torch(BATCH_NORMS[name], IMAGES)


class Doubled(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


class Standardised(nn.Conv2d):
    """Weight standardisation, as in ResNet-50 BiT: forward() is that of nn.Conv2d."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(input, weight - weight.mean((1, 2, 3), keepdim=True), bias)


class Renamed(nn.Conv2d):
    """Only another name, and other defaults."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)


class Leaky(nn.ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, 0.1)


class AlwaysDropping(nn.Dropout):
    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, training=True)


class Training(nn.Sequential):
    """A part of a network that stays in train mode."""

    def train(self, mode: bool = True) -> Training:
        return super().train(True)


def patched(module: nn.Module, forward: Callable[[Tensor], Tensor]) -> nn.Module:
    module.forward = forward  # type: ignore[method-assign]
    return module


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Doubled(4, 3, 3), OK),
        (Standardised(4, 3, 3), OK),
        (Renamed(4, 3), OK),
        (pooled(Leaky()), OK),
        (pooled(AlwaysDropping()), "drops values in eval mode too"),
        (Training(nn.Conv2d(4, 4, 3), nn.Dropout()), "is a Dropout that stays in train mode"),
        (Training(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)), "is a BatchNorm2d that stays in train mode"),
        (pooled(patched(nn.ReLU(), lambda x: x * 2)), OK),
        (pooled(patched(nn.ReLU(), lambda x: F.relu(x))), OK),
        (patched(nn.Sequential(nn.Conv2d(4, 4, 3)), lambda x: x + 1), "the network has no Linear or Conv2d"),
        (pooled(nn.ReLU6()), OK),
        (pooled(nn.SyncBatchNorm(4)), "is a SyncBatchNorm"),
        (pooled(nn.LocalResponseNorm(2)), "is a LocalResponseNorm"),
        (pooled(nn.Softshrink()), OK),
        (pooled(nn.Softsign()), "is a Softsign"),
        (nn.LazyConv2d(3, 3), "has no weight yet"),
        (nn.ConvTranspose3d(4, 3, 3), "does not take samples of shape"),
        (nn.Sequential(nn.Conv2d(4, 4, 3), nn.Linear(6, 2)), OK),
        (torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 3))), "is compiled by TorchScript"),
    ],
)
def test_a_module_that_computes_something_else_is_not_taken_for_torchs(module: nn.Module, expected: str) -> None:
    check(IMAGES, module, expected)


def hooked(register: str, hook: Callable[..., Any]) -> nn.Module:
    module = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
    getattr(module[1], register)(hook)
    return module


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: hooked("register_forward_hook", lambda *_: None), "layer '1' (ReLU) has forward hooks"),
        (lambda: hooked("register_forward_pre_hook", lambda *_: None), "layer '1' (ReLU) has forward hooks"),
        (lambda: hooked("register_full_backward_hook", lambda *_: None), OK),
        (lambda: nn.utils.weight_norm(nn.Conv2d(4, 4, 3)), "has forward hooks"),
        (lambda: nn.utils.spectral_norm(nn.Conv2d(4, 4, 3)), "has forward hooks"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)), OK),
        (lambda: nn.Sequential(nn.Flatten(), nn.utils.parametrizations.orthogonal(nn.Linear(288, 4))), OK),
    ],
)
def test_hooks_are_refused_and_computed_weights_are_computed(make: Callable[[], nn.Module], expected: str) -> None:
    check(IMAGES, make(), expected)
