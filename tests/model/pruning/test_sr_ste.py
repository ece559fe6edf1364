import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.nm import nm_mask
from zeroskip.model.pruning.sr_ste import DECAY, SrSte

PATTERNS = [Pattern.parse(text) for text in ("2:4", "1:4", "4:8 pairs")]


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_forward_is_masked_and_backward_is_the_papers(pattern: Pattern, kind: str) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(10, 6) if kind == "linear" else nn.Conv2d(10, 6, 3)
    inputs = torch.randn(4, 10) if kind == "linear" else torch.randn(4, 10, 5, 5)
    compute = F.linear if kind == "linear" else F.conv2d
    weight = layer.weight.detach().clone()
    mask = nm_mask(weight, pattern)
    masked = (weight * mask).requires_grad_()
    expected = compute(inputs, masked, layer.bias)
    expected.square().sum().backward()
    parameter = layer.weight
    with SrSte(layer, pattern):
        outputs = layer(inputs)
        outputs.square().sum().backward()
        assert torch.equal(outputs, expected)
        # The parameter itself stays dense: masked weights can come back.
        assert torch.equal(parameter, weight)
    assert masked.grad is not None
    penalty = DECAY * (1 - mask.float()) * weight
    assert penalty.count_nonzero() == (~mask).sum()
    torch.testing.assert_close(parameter.grad, masked.grad + penalty, rtol=0, atol=0)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))


def step(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    F.cross_entropy(module(torch.randn(16, 4, 3, 3)), torch.randint(3, (16,))).backward()
    optimizer.step()


def test_an_ordinary_masked_module_is_left() -> None:
    """Names, classes, hooks and parameters do not change; the weights are masked by their final values."""
    module = network()
    keys, classes = list(module.state_dict()), [type(part) for part in module.modules()]
    parameters = dict(module.named_parameters())
    masks = {name: nm_mask(module.get_parameter(name), Pattern()) for name in ("0.weight", "4.weight")}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2, momentum=0.9)
    with SrSte(module, Pattern()):
        for _ in range(30):
            step(module, optimizer)
            # The state that a checkpoint would store is dense and has the usual names.
            assert list(module.state_dict()) == keys
            assert module.state_dict()["0.weight"].count_nonzero() == module[0].weight.numel()
    assert list(module.state_dict()) == keys
    assert [type(part) for part in module.modules()] == classes
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in module.modules())
    assert {name: id(value) for name, value in module.named_parameters()} == {
        name: id(value) for name, value in parameters.items()
    }
    for name, mask in masks.items():
        weight = module.get_parameter(name)
        assert torch.equal(weight != 0, nm_mask(weight, Pattern()))
        # Training has changed the mask.
        assert not torch.equal(weight != 0, mask)


def test_skipped_layers_stay_dense() -> None:
    module = network()
    with SrSte(module, Pattern(), skip=["4"]):
        pass
    assert module[0].weight.count_nonzero() == module[0].weight.numel() / 2
    assert module[4].weight.count_nonzero() == module[4].weight.numel()


def test_lets_go_after_an_error() -> None:
    module = network()
    with pytest.raises(RuntimeError), SrSte(module, Pattern()):
        module(torch.ones(1, 5, 3, 3))
    assert not any("weight" in vars(part) for part in module.modules())
    with pytest.raises(KeyboardInterrupt), SrSte(module, Pattern()):
        raise KeyboardInterrupt
    assert type(module[0]) is nn.Conv2d
    assert module[4].weight.count_nonzero() == module[4].weight.numel() / 2


def test_divergence_is_left_to_training() -> None:
    module = network()
    with SrSte(module, Pattern()):
        nn.init.constant_(module[4].weight, float("nan"))
        assert module(torch.ones(1, 4, 3, 3)).isnan().all()


def test_what_cannot_be_trained_so_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^decay must be at least 0, not -1$"):
        SrSte(network(), Pattern(), decay=-1)
    with pytest.raises(ValueError, match=re.escape("skip must name layers or weights (0, 4), not 'fc'")):
        SrSte(network(), Pattern(), skip=["fc"])
