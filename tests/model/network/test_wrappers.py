"""DataParallel and torch.compile around a network, around its layers, and in the names of its weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zeroskip.model.network.fold import fold
from zeroskip.model.network.wrappers import unwrap, unwrapped, without_wrappers


def network() -> nn.Sequential:
    return nn.Sequential(nn.Sequential(nn.Linear(6, 5), nn.ReLU()), nn.Linear(5, 3))


def test_wrappers_come_off() -> None:
    inner = network()
    for outer in (nn.DataParallel(inner), torch.compile(inner), nn.DataParallel(torch.compile(nn.DataParallel(inner)))):
        assert unwrapped(outer) is inner
    assert unwrapped(inner) is inner


def test_wrappers_of_layers_come_off_in_place() -> None:
    """As in the AlexNet and VGG of PyTorch's ImageNet example, whose features alone are parallel."""
    inner = network()
    plain = dict(inner.state_dict())
    inner[0] = nn.DataParallel(inner[0])
    inner[1] = torch.compile(inner[1])
    inner[0].module.compile()
    assert set(inner.state_dict()) != set(plain)
    found = unwrap(nn.DataParallel(inner))
    assert found is inner
    assert list(found.state_dict()) == list(plain)
    assert not any(module._compiled_call_impl for module in found.modules())
    assert [type(module) for module in found] == [nn.Sequential, nn.Linear]


def test_a_wrapped_network_is_folded_as_it_is() -> None:
    inner = network()
    inner[0] = nn.DataParallel(inner[0])
    samples = torch.randn(4, 6)
    torch.testing.assert_close(fold(nn.DataParallel(inner), samples)(samples), inner(samples))


@pytest.mark.parametrize(
    "names",
    [
        ["0.0.weight", "0.0.bias", "1.weight", "1.bias"],
        ["module.0.0.weight", "module.0.0.bias", "module.1.weight", "module.1.bias"],
        ["_orig_mod.0.0.weight", "_orig_mod.0.0.bias", "_orig_mod.1.weight", "_orig_mod.1.bias"],
        ["module._orig_mod.0.0.weight", "_orig_mod.module.0.0.bias", "1.weight", "module.1.bias"],
        ["0.module.0.weight", "0._orig_mod.0.bias", "1.module.weight", "_orig_mod.1._orig_mod.bias"],
    ],
)
def test_names_of_weights_with_wrappers(names: list[str]) -> None:
    expected = list(network().state_dict())
    found = without_wrappers(dict(zip(names, range(4), strict=True)), expected)
    assert found == dict(zip(expected, range(4), strict=True))


def test_two_tensors_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^has 0\.weight and module\.0\.weight, which are both 0\.weight of the netw"):
        without_wrappers({"0.weight": 1, "module.0.weight": 2}, ["0.weight"])


def test_a_layer_that_is_called_module_keeps_its_name() -> None:
    names = ["module.weight", "weight", "other.module.weight"]
    state = dict(zip(names, range(3), strict=True))
    assert without_wrappers(state, names) == state
    # Which one is meant cannot be said: it stays unknown, and is told as such.
    assert without_wrappers({"_orig_mod.weight": 0}, names) == {"_orig_mod.weight": 0}
