"""The fitted weights against numpy's least squares, for each output by itself."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.pruning.criteria import l1
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.search.spaces import refit
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.refit import POINTS, Refit
from zeroskip.model.search.spaces.space import LayerSpace, Space


@pytest.fixture(autouse=True)
def converged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conjugate gradients to the end, so that only rounding is left."""
    monkeypatch.setattr(refit, "STEPS", 500)
    monkeypatch.setattr(refit, "ENOUGH", 1e-9)


def best(
    given: NDArray[np.float64], wanted: NDArray[np.float64], weight: NDArray[np.float64], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The weights (outputs x inputs) within the mask that give the outputs `wanted` (vectors x outputs) from the inputs
    `given` (vectors x inputs), with a small penalty on their change, relative to the mean square of an input."""
    ridge = 1e-2 * (given**2).sum(0).mean()
    found = np.zeros_like(weight)
    for output, kept in enumerate(mask):
        before = weight[output, kept]
        system = np.concatenate((given[:, kept], np.sqrt(ridge) * np.eye(kept.sum())))
        right = np.concatenate((wanted[:, output], np.sqrt(ridge) * before))
        found[output, kept] = np.linalg.lstsq(system, right, rcond=None)[0]
    return found


def fitted(module: nn.Module, masks: dict[str, Tensor], samples: Tensor) -> nn.Module:
    pruned = copy.deepcopy(module)
    Masks(pruned, masks).apply()
    Refit(module, samples).apply(pruned, masks)
    return pruned


def double(values: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = values.detach().double().numpy()
    return found


def test_linear_layers() -> None:
    """The second layer is fitted to what the first one gives after its own fit, not to what it gave before."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4)).eval()
    inputs = torch.randn(300, 6)
    masks = {"0.weight": torch.rand(10, 6) < 0.5, "2.weight": torch.rand(4, 10) < 0.4}
    pruned = fitted(module, masks, inputs)
    with torch.no_grad():
        hidden, after = double(module[:2](inputs)), double(pruned[:2](inputs))
    expected = best(
        double(inputs),
        double(inputs) @ double(module[0].weight).T,
        double(module[0].weight),
        masks["0.weight"].numpy(),
    )
    np.testing.assert_allclose(double(pruned[0].weight), expected, atol=2e-5)
    expected = best(after, hidden @ double(module[2].weight).T, double(module[2].weight), masks["2.weight"].numpy())
    np.testing.assert_allclose(double(pruned[2].weight), expected, atol=2e-5)
    assert torch.equal(pruned[2].bias, module[2].bias)


def test_layers_that_are_not_pruned_mend_what_those_before_them_lost() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4)).eval()
    inputs = torch.randn(300, 6)
    pruned = fitted(module, {"0.weight": torch.rand(10, 6) < 0.5}, inputs)
    with torch.no_grad():
        hidden, after = double(module[:2](inputs)), double(pruned[:2](inputs))
    weight = double(module[2].weight)
    np.testing.assert_allclose(
        double(pruned[2].weight), best(after, hidden @ weight.T, weight, np.ones((4, 10), bool)), atol=2e-5
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_convolutions(groups: int, padding: str) -> None:
    """All positions of an image are taken where there are not more than POINTS."""
    torch.manual_seed(0)
    layer = nn.Conv2d(
        4, 8, (3, 2), stride=(2, 1), dilation=(1, 2), padding=(1, 0), groups=groups, padding_mode=padding
    ).eval()
    inputs = torch.randn(60, 4, 5, 5)
    mask = torch.rand(8, 4 // groups, 3, 2) < 0.5
    pruned = fitted(layer, {"weight": mask}, inputs)
    around = F.pad(inputs, (0, 0, 1, 1), mode="constant" if padding == "zeros" else padding)
    patches = F.unfold(around, (3, 2), stride=(2, 1), dilation=(1, 2))
    assert patches.shape[2] == 9 <= POINTS
    # unfold holds channel by channel, as the weights do.
    given = double(patches.transpose(1, 2).flatten(0, 1)).reshape(-1, groups, 24 // groups)
    weight = double(layer.weight).reshape(groups, 8 // groups, -1)
    for group in range(groups):
        expected = best(
            given[:, group],
            given[:, group] @ weight[group].T,
            weight[group],
            mask.numpy().reshape(weight.shape)[group],
        )
        found = double(pruned.weight).reshape(weight.shape)[group]
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_large_convolutions_are_fitted_at_some_positions() -> None:
    """What depends on four inputs alone is found from any positions: half of the channels are copies."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 3, 3, bias=False).eval()
    inputs = torch.randn(100, 2, 12, 12).repeat(1, 2, 1, 1)
    mask = torch.zeros(3, 4, 3, 3, dtype=torch.bool)
    mask[:, :2] = True
    pruned = fitted(layer, {"weight": mask}, inputs)
    with torch.no_grad():
        error = (pruned(inputs) - layer(inputs)).norm() / layer(inputs).norm()
    assert not pruned.weight[:, 2:].any()
    # Without the ridge it would be zero.
    assert error < 0.02


def test_channels() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4)).eval()
    inputs = torch.randn(300, 6)
    pruned = ChannelSpace(module, ["0", "2"], inputs).masked({"0": 0.6})
    stays = pruned[0].weight.detach().abs().sum(1).numpy() > 0
    assert stays.sum() == 6
    with torch.no_grad():
        hidden, after = double(module[:2](inputs)), double(pruned[:2](inputs))
    weight = double(module[2].weight)
    expected = best(after, hidden @ weight.T, weight, np.tile(stays, (4, 1)))
    np.testing.assert_allclose(double(pruned[2].weight), expected, atol=2e-5)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_units_do_not_matter(scale: float) -> None:
    torch.manual_seed(0)
    layer, inputs = nn.Linear(6, 4).eval(), torch.randn(100, 6)
    mask = torch.rand(4, 6) < 0.5
    usual, other = (fitted(layer, {"weight": mask}, inputs * by) for by in (1, scale))
    torch.testing.assert_close(other.weight, usual.weight, rtol=1e-3, atol=1e-5)


class Twice(nn.Module):
    """One layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(torch.relu(self.layer(input=x)))
        return found


@pytest.mark.parametrize(
    ("module", "name", "inputs"),
    [
        (Twice(), "layer.weight", torch.ones(10, 6)),
        (nn.Linear(6, 6), "weight", torch.full((10, 6), torch.inf)),
        (nn.Linear(6, 6), "weight", torch.empty(0, 6)),
        (nn.Linear(6, 6), "weight", torch.zeros(10, 6)),
    ],
    ids=["twice", "infinite", "no samples", "zero"],
)
def test_other_layers_keep_their_weights(module: nn.Module, name: str, inputs: Tensor) -> None:
    mask = torch.rand(6, 6) < 0.5
    pruned = fitted(module.eval(), {name: mask}, inputs)
    assert torch.equal(pruned.get_parameter(name), module.get_parameter(name) * mask)


@pytest.mark.parametrize("granularity", ["channels", "weights"])
def test_what_comes_back_takes_the_correction_back(granularity: str) -> None:
    """A network whose weights all come back is the dense one. If some do, what the others had been given for them is
    taken away again."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4)).eval()
    inputs = torch.randn(300, 6)
    if granularity == "channels":
        space: Space = ChannelSpace(module, ["0", "2"], inputs)
        few, some, whole = {"0": 0.3}, {"0": 0.6}, {"0": 1.0}
    else:
        space = LayerSpace(module, "weights", ["0", "2"], inputs)
        few, some, whole = {"2": 0.3}, {"2": 0.6}, {"2": 1.0}
    pruned = space.masked(few)
    back = space.restored(pruned, few, whole, l1)
    assert not torch.allclose(pruned[2].weight, module[2].weight, atol=0.05)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], value, rtol=0, atol=2e-5)
    restored = space.restored(pruned, few, some, l1)
    # Those that come back are the strongest, so these are the weights of the plan that was never smaller.
    stays, mask = (space.masks(module, one)["2.weight"].numpy() for one in (few, some))
    torch.testing.assert_close(restored[0].weight, space.masked(some)[0].weight, rtol=0, atol=1e-5)
    with torch.no_grad():
        hidden = double(restored[:2](inputs))
    weight = double(module[2].weight)
    only_back = np.where(mask & ~stays, weight, 0)
    left = hidden * stays.any(0) if granularity == "channels" else hidden
    given = best(left, hidden @ only_back.T, np.zeros_like(weight), stays)
    expected = double(pruned[2].weight) + only_back - given
    np.testing.assert_allclose(double(restored[2].weight), expected, atol=2e-5)
