import itertools
import re

import pytest
import torch
from torch import Tensor, nn

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.nm import LayerReport, layer_reports, nm_mask, nm_masks, padding

PATTERNS = [Pattern.parse(text) for text in ("2:4", "1:2", "1:4", "4:8", "4:8 pairs", "2:16", "dense")]


def groups(values: Tensor, pattern: Pattern) -> Tensor:
    """(outputs, places of the kernel, groups, positions, pair), padded with zeros."""
    flat = values.reshape(values.shape[0], values.shape[1], -1).permute(0, 2, 1)
    padded = torch.cat([flat, flat.new_zeros(*flat.shape[:2], padding(values.shape, pattern))], 2)
    return padded.reshape(*flat.shape[:2], -1, pattern.positions, pattern.pair)


def best(scores: Tensor, lanes: int) -> set[int]:
    """The positions to keep, by trying all choices; of equal choices the one with the lowest indices."""
    return set(
        max(itertools.combinations(range(len(scores)), lanes), key=lambda choice: sum(map(float, scores[[*choice]])))
    )


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("shape", [(5, 16), (3, 7), (4, 8, 3, 2), (3, 1, 2, 2), (2, 6, 1, 3)])
def test_mask_keeps_the_best_of_every_group(pattern: Pattern, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    # Few distinct values, so that ties and zeros are common.
    weight = torch.randint(-3, 4, shape).float()
    mask = nm_mask(weight, pattern)
    assert (mask.dtype, mask.shape) == (torch.bool, weight.shape)
    scores, kept = groups(weight.abs(), pattern).sum(-1), groups(mask.long(), pattern).amax(-1)
    for one, choice in zip(scores.flatten(0, 2), kept.flatten(0, 2), strict=True):
        real = {int(position) for position in choice.nonzero()}
        wanted = best(one, pattern.lanes)
        # The reference also keeps padding.
        assert real <= wanted
        assert one[[*(wanted - real)]].sum() == 0
    full = groups(torch.ones(shape), pattern).amax(-1).sum(-1)
    assert torch.equal(kept.sum(-1), full.clamp(max=pattern.lanes).long())


def test_of_equal_weights_the_earlier_stay() -> None:
    assert nm_mask(torch.tensor([[1.0, -1, 1, 1], [0, 0, 0, 0], [0, 2, 2, 2]]), Pattern()).tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, True, True, False],
    ]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_precision_has_a_mask(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weight = torch.randn(6, 16).to(dtype)
    assert torch.equal(nm_mask(weight, Pattern()), nm_mask(weight.double(), Pattern()))


def test_pairs_stay_together() -> None:
    weight = torch.tensor([[9.0, 0, 1, 1, 6, 0, 3, 4]])
    assert nm_mask(weight, Pattern.parse("4:8 pairs")).tolist() == [
        [True, True, False, False, False, False, True, True]
    ]


def test_convolutions_are_grouped_by_channel() -> None:
    weight = torch.zeros(1, 4, 1, 2)
    weight[0, :, 0, 0] = torch.tensor([4.0, 3, 2, 1])
    weight[0, :, 0, 1] = torch.tensor([1.0, 2, 3, 4])
    assert nm_mask(weight, Pattern())[0, :, 0].tolist() == [[True, False], [True, False], [False, True], [False, True]]


def test_padding() -> None:
    assert [padding((10, inputs), Pattern()) for inputs in (1, 4, 5, 784)] == [3, 0, 3, 0]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 10), nn.Linear(10, 3))


def test_masks_of_a_network_and_what_they_do() -> None:
    module = network()
    masks = nm_masks(module, Pattern(), skip=["4"])
    assert list(masks) == ["0.weight", "3.weight"]
    assert torch.equal(masks["3.weight"], nm_mask(module[3].weight, Pattern()))
    reports = layer_reports(module, masks, Pattern())
    before = module[3].weight.detach().abs()
    with Masks(module, masks):
        after = module[3].weight.detach().abs()
    assert [(report.name, report.shape, report.pad, report.kept, report.total) for report in reports] == [
        ("0", (4, 1, 2, 2), 3, 16, 16),
        ("3", (10, 36), 0, 180, 360),
        ("4", (3, 10), 0, 30, 30),
    ]
    fractions = [1, float(after.sum() / before.sum()), 1]
    assert [report.magnitude for report in reports] == pytest.approx(fractions, rel=1e-5)
    assert fractions[1] < 0.9


def test_a_bare_layer_has_no_name() -> None:
    layer = nn.Linear(6, 2)
    masks = nm_masks(layer, Pattern())
    assert list(masks) == ["weight"]
    assert layer_reports(layer, masks, Pattern())[0].kept == 8
    nn.init.zeros_(layer.weight)
    assert layer_reports(layer, masks, Pattern()) == [
        LayerReport(name="", shape=(2, 6), pad=2, kept=8, total=12, magnitude=1)
    ]


def test_what_has_no_mask_is_refused() -> None:
    with pytest.raises(
        ValueError, match=re.escape("2 dimensions (a matrix), 3 (Conv1d) or 4 (Conv2d), not the shape (3,)")
    ):
        nm_mask(torch.ones(3), Pattern())
    module = network()
    with torch.no_grad():
        module[3].weight[0, 5] = float("nan")
    with pytest.raises(ValueError, match=r"^layer '3': weight must be numbers, but some are NaN$"):
        nm_masks(module, Pattern())
    assert list(nm_masks(module, Pattern(), skip=["3"])) == ["0.weight", "4.weight"]
    with pytest.raises(ValueError, match=re.escape("skip must name layers or weights (0, 3, 4), not '1'")):
        nm_masks(module, Pattern(), skip=["1"])
