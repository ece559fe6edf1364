"""forward() may look at shapes, but not at values; the number of samples is no part of what is compiled."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.fold import fold

IMAGES = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """A small network, before which stands a test's own code."""

    def __init__(self, before: Callable[[Net, Tensor], Tensor]) -> None:
        super().__init__()
        self.before = before
        self.size = 8
        self.conv, self.fc = nn.Conv2d(1, 3, 3), nn.Linear(27, 4)

    def forward(self, x: Tensor, mask: Tensor | None = None, *, scale: float | None = None) -> Tensor:
        x = self.before(self, x)
        if mask is not None:
            x = x * mask
        if scale is not None:
            x = x * scale
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        return self.fc(x.view(x.size(0), -1))


def raising(m: Net, x: Tensor) -> Tensor:
    if x.shape[-2:] != (m.size, m.size):
        raise ValueError(f"images must be {m.size} x {m.size}, not {tuple(x.shape[-2:])}")
    return x


def asserting(m: Net, x: Tensor) -> Tensor:
    assert x.dim() == 4, x.shape
    assert x.shape[1:] == (1, 8, 8)
    assert x.shape[1:] == torch.Size([1, 8, 8])
    return x


def torch_asserting(m: Net, x: Tensor) -> Tensor:
    torch._assert(x.shape[1] == m.conv.in_channels, "channels")
    return x


def batched(m: Net, x: Tensor) -> Tensor:
    return x.unsqueeze(0) if x.dim() == 3 else x


def unpacked(m: Net, x: Tensor) -> Tensor:
    n, channels, height, width = x.shape
    return x.reshape(n, channels, height, width) if height == width else x.mean(1)


def typed(m: Net, x: Tensor) -> Tensor:
    if not isinstance(x, Tensor) or not torch.is_tensor(x) or isinstance(x, nn.Parameter):
        raise TypeError(type(x))
    if x.is_cuda or not x.is_floating_point() or x.requires_grad or len(x) == 0 or x.numel() % 64 or x.ndim != 4:
        raise TypeError(x.dtype)
    return x.to(m.conv.weight.device).to(m.conv.weight.dtype).contiguous()


def one_by_one(m: Net, x: Tensor) -> Tensor:
    return x if x.size(0) else x.new_zeros(1)


def dead(m: Net, x: Tensor) -> Tensor:
    x.abs().max()
    torch.tanh(x)
    return x


@pytest.mark.parametrize(
    "before",
    [raising, asserting, torch_asserting, batched, unpacked, typed, one_by_one, dead],
    ids=lambda f: f.__name__,
)
def test_forward_may_look_at_shapes(before: Callable[[Net, Tensor], Tensor]) -> None:
    torch.manual_seed(2)
    module = Net(before).train()
    attributes = set(vars(module))
    folded = fold(module, IMAGES)
    assert module.training
    assert set(vars(module)) == attributes
    for count in (1, 2, 7):
        torch.testing.assert_close(folded(IMAGES[:count]), module(IMAGES[:count]), rtol=1e-4, atol=1e-5)


def test_one_sample_is_enough() -> None:
    module = Net(raising)
    torch.testing.assert_close(fold(module, IMAGES[:1])(IMAGES), module(IMAGES), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fold(module, IMAGES[:1].numpy())(IMAGES), module(IMAGES), rtol=1e-4, atol=1e-5)


def test_a_guard_that_refuses_the_samples_is_told_with_its_line() -> None:
    message = (
        "Net does not take samples of shape (1, 9, 9): ValueError: images must be 8 x 8, not (9, 9); give it samples "
        "of the shape that its forward() takes"
    )
    with pytest.raises(ValueError, match=rf"^{re.escape(message)} \(\S*test_trace.py, line \d+\)$"):
        fold(Net(raising), torch.zeros(4, 1, 9, 9))


def by_value(m: Net, x: Tensor) -> Tensor:
    return x / 2 if x.max() > 1 else x


def by_number(m: Net, x: Tensor) -> Tensor:
    return x if float(x.mean()) < 100 else x / 2


def by_item(m: Net, x: Tensor) -> Tensor:
    return x if x.sum().item() < 100 else x / 2


def asserted_values(m: Net, x: Tensor) -> Tensor:
    assert (x.abs() < 100).all()
    return x


@pytest.mark.parametrize("before", [by_value, by_number, by_item, asserted_values], ids=lambda f: f.__name__)
def test_decisions_by_values_are_refused(before: Callable[[Net, Tensor], Tensor]) -> None:
    message = (
        r"^Net decides by the values of its input; .*take the decision out of forward\(\) .*test_trace.py, line \d+\)$"
    )
    with pytest.raises(ValueError, match=message):
        fold(Net(before), IMAGES)


def by_samples(m: Net, x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1) if x.size(0) % 2 else x


def as_a_size(m: Net, x: Tensor) -> Tensor:
    # Padding to the same size, whatever the number of samples.
    return F.max_pool2d(x, 2 * x.size(0) - 1, stride=1, padding=x.size(0) - 1)


@pytest.mark.parametrize("before", [by_samples, as_a_size], ids=lambda f: f.__name__)
def test_the_number_of_samples_must_change_nothing(before: Callable[[Net, Tensor], Tensor]) -> None:
    with pytest.raises(
        ValueError, match=r"^Net does something else for 2 samples than for 3 .*test_trace.py, line \d+\)$"
    ):
        fold(Net(before), IMAGES)


def test_the_line_of_the_layer_is_named() -> None:
    class Other(Net):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return torch.sin(self.conv(x))

    line = Other.forward.__code__.co_firstlineno + 1
    with pytest.raises(ValueError, match=rf"^operation 'sin' is sin; .*test_trace.py, line {line}\)$"):
        fold(Other(raising), IMAGES)


def test_tensors_that_forward_makes_are_not_left_in_the_module() -> None:
    module = Net(lambda m, x: x + torch.ones(1))
    attributes = set(vars(module))
    fold(module, IMAGES)
    assert set(vars(module)) == attributes


def test_samples_in_the_type_of_the_network() -> None:
    module = Net(raising).double()
    torch.testing.assert_close(
        fold(module, IMAGES).double()(IMAGES.double()), module(IMAGES.double()), rtol=1e-4, atol=1e-5
    )


def test_images_for_a_network_of_flat_values() -> None:
    module = nn.Sequential(nn.Linear(64, 3), nn.ReLU())
    torch.testing.assert_close(fold(module, IMAGES)(IMAGES.flatten(1)), module(IMAGES.flatten(1)))


@pytest.mark.parametrize("bad", [2, 3])
def test_a_number_of_samples_that_forward_does_not_take_is_told(bad: int) -> None:
    """It runs on both numbers of samples before it is traced with either."""

    def before(m: Net, x: Tensor) -> Tensor:
        if len(x) == bad:
            raise RuntimeError(f"{bad} samples are too few")
        return x

    message = f"Net does not take samples of shape (1, 8, 8): RuntimeError: {bad} samples are too few"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        fold(Net(before), IMAGES)


@pytest.mark.parametrize("copied", ["contiguous", "clone", "detach"])
def test_copies_need_no_samples(copied: str) -> None:
    module = Net(lambda m, x: getattr(x, copied)())
    torch.testing.assert_close(fold(module)(IMAGES), module(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["double", "float", "cpu"])
def test_conversions_need_samples(name: str) -> None:
    """Without them nobody knows what the type was before."""
    with pytest.raises(ValueError, match=f"operation '{name}.*' converts to another type"):
        fold(Net(lambda m, x: getattr(x, name)()))


def assigned(m: Net, x: Tensor) -> Tensor:
    x[:, 0] = 0
    return x


def scaled(m: Net, x: Tensor) -> Tensor:
    x = F.relu(x)
    x[:, 0] *= 2
    return x


def masked(m: Net, x: Tensor) -> Tensor:
    x[x < 0] = 0
    return x


@pytest.mark.parametrize("before", [assigned, scaled, masked], ids=lambda f: f.__name__)
def test_assignments_in_place_are_refused_for_what_they_are(before: Callable[[Net, Tensor], Tensor]) -> None:
    line = before.__code__.co_firstlineno + (2 if before is scaled else 1)
    message = (
        rf"^Net assigns to a part of a value \(x\[...\] = ...\); .* samples before .*test_trace.py, line {line}\)$"
    )
    with pytest.raises(ValueError, match=message):
        fold(Net(before), IMAGES)


@pytest.mark.parametrize(
    ("before", "named"),
    [
        (lambda m, x: x.real, r"operation 'getattr_1' is x\.real"),
        (
            lambda m, x: torch.hypot(x, torch.ones(8)),
            "operation 'hypot' is hypot with a tensor that forward\\(\\) makes",
        ),
    ],
)
def test_what_is_no_layer_is_named(before: Callable[[Net, Tensor], Tensor], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}; supported: .*test_trace.py, line"):
        fold(Net(before), IMAGES)
