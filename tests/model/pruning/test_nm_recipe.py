import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.digits import load_digits
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.networks import lenet_300_100
from zeroskip.model.pruning import nm_presets
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.nm import layer_reports, nm_mask, nm_masks
from zeroskip.model.pruning.nm_recipe import NmResult, NmSettings, prune_nm
from zeroskip.model.pruning.training import TrainingSettings, evaluate
from zeroskip.model.pruning.training_run import TrainingProgress

TRAINING = TrainingSettings(epochs=3, learning_rate=0.05, weight_decay=1e-4, batch_size=64)
MAGNITUDE = NmSettings(pattern=Pattern(), dense=TRAINING, threads=1)
PERMUTED = replace(MAGNITUDE, permute=True)
SR_STE = replace(MAGNITUDE, method="sr-ste", skip=("5",))
WAYS = pytest.mark.parametrize("settings", [MAGNITUDE, PERMUTED, SR_STE], ids=["magnitude", "permuted", "sr-ste"])
STAGES = ("dense", "pruned", "sparse")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_digits()


def network() -> nn.Sequential:
    """A network with state: batch statistics, and the random numbers of dropout."""
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Linear(64, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(32, 18),
        nn.Linear(18, 10),
    )


def assert_same(left: NmResult, right: NmResult) -> None:
    for stage in STAGES:
        states = [getattr(result, stage).state_dict() for result in (left, right)]
        for (name, one), other in zip(states[0].items(), states[1].values(), strict=True):
            assert torch.equal(one, other), (stage, name)
    assert left.accuracies == right.accuracies
    assert left.layers == right.layers
    assert left.masks.keys() == right.masks.keys()
    assert all(torch.equal(mask, right.masks[name]) for name, mask in left.masks.items())


class Stop(Exception):
    pass


def stop_after(epochs: int) -> Callable[[TrainingProgress], None]:
    def progress(report: TrainingProgress) -> None:
        if report.done == epochs:
            raise Stop

    return progress


@WAYS
def test_resumed_run_equals_an_uninterrupted_one(digits: Dataset, tmp_path: Path, settings: NmSettings) -> None:
    whole = prune_nm(network(), digits, settings=settings, seed=3)
    # In the middle and at the end of both stages.
    for epochs in (1, 3, 4, 6):
        path = tmp_path / f"{epochs}.safetensors"
        with pytest.raises(Stop):
            prune_nm(network(), digits, settings=settings, seed=3, checkpoint=path, progress=stop_after(epochs))
        reports: list[TrainingProgress] = []
        module = network()
        torch.manual_seed(epochs)
        resumed = prune_nm(module, digits, settings=settings, seed=3, checkpoint=path, progress=reports.append)
        assert [report.done for report in reports] == list(range(epochs, 7))
        assert_same(resumed, whole)


@WAYS
def test_results_agree(digits: Dataset, settings: NmSettings) -> None:
    """All reports of one run agree with its networks. One test, as a run is expensive."""
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    reports: list[TrainingProgress] = []
    result = prune_nm(module, digits, settings=settings, seed=0, progress=reports.append)
    second = "train sparse" if settings.method == "sr-ste" else "retrain"
    assert [(at.stage, at.epoch) for at in reports] == [
        (name, epoch) for name in ("train", second) for epoch in (1, 2, 3)
    ]
    assert {(at.epochs, at.total) for at in reports} == {(3, 6)}
    masked = ["0.weight", "4.weight"] + ([] if settings.skip else ["5.weight"])
    assert list(result.masks) == masked
    for name, mask in result.masks.items():
        weight = result.sparse.get_parameter(name)
        assert torch.equal(weight != 0, mask)
        assert torch.equal(mask, nm_mask(weight, Pattern()))
    assert result.sparse.get_parameter("5.weight").count_nonzero() == (180 if settings.skip else 100)
    # 18 inputs are four groups and a half, which keeps both of its weights.
    kept = [(64 * 32 // 2, 0), (32 * 18 // 2, 0), (180, 0) if settings.skip else (100, 2)]
    assert [(layer.kept, layer.pad) for layer in result.layers] == kept
    assert all(0.5 < layer.magnitude < 1 for layer in result.layers[:2])
    inputs, labels = map(torch.from_numpy, result.test)
    assert result.accuracies == {stage: evaluate(getattr(result, stage), inputs, labels) for stage in STAGES}
    # Networks that have learned reach this accuracy in two trainings of three epochs.
    assert min(result.accuracies["dense"], result.accuracies["sparse"]) > 0.85
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_pruned_is_the_dense_network_masked(digits: Dataset) -> None:
    result = prune_nm(network(), digits, settings=MAGNITUDE, seed=0)
    masks = nm_masks(result.dense, Pattern())
    assert result.layers == layer_reports(result.dense, masks, Pattern())
    Masks(result.dense, masks).apply()
    for name, tensor in result.dense.state_dict().items():
        assert torch.equal(tensor, result.pruned.state_dict()[name]), name
    assert not torch.equal(result.pruned[0].weight, result.sparse[0].weight)


def test_permuting_keeps_more(digits: Dataset) -> None:
    plain, permuted = (prune_nm(network(), digits, settings=way, seed=0) for way in (MAGNITUDE, PERMUTED))
    assert [report.permutation is None for report in permuted.permutations] == [True, False, False]
    assert plain.permutations == []
    gains = [b.magnitude - a.magnitude for a, b in zip(plain.layers, permuted.layers, strict=True)]
    assert gains[0] == pytest.approx(0, abs=1e-9)
    assert min(gains[1:]) > 0.005


def test_sr_ste_starts_from_scratch(digits: Dataset) -> None:
    ways = [replace(SR_STE, dense=replace(TRAINING, learning_rate=rate), retrain=TRAINING) for rate in (0.05, 0.01)]
    first, second = (prune_nm(network(), digits, settings=way, seed=0) for way in ways)
    assert not torch.equal(first.dense[0].weight, second.dense[0].weight)
    assert torch.equal(first.sparse[0].weight, second.sparse[0].weight)


def test_checkpoint_of_other_settings_is_started_over(digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    with pytest.raises(Stop):
        prune_nm(network(), digits, settings=MAGNITUDE, seed=3, checkpoint=path, progress=stop_after(2))
    other = replace(MAGNITUDE, pattern=Pattern.parse("1:4"))
    with pytest.raises(Stop):
        prune_nm(network(), digits, settings=other, seed=3, checkpoint=path, progress=stop_after(1))


def test_what_does_not_fit_is_refused_before_training(digits: Dataset) -> None:
    def refused(module: nn.Module, settings: NmSettings, message: str) -> None:
        reports: list[TrainingProgress] = []
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            prune_nm(module, digits, settings=settings, seed=0, progress=reports.append)
        assert reports == []

    refused(
        lenet_300_100(), MAGNITUDE, "digits: train_inputs must have 784 values a sample, as the network takes, not 64"
    )
    refused(network(), replace(MAGNITUDE, skip=("1",)), "skip must name layers or weights (0, 4, 5), not '1'")
    layer = nn.Linear(64, 64)
    refused(nn.Sequential(layer, layer, nn.Linear(64, 10)), PERMUTED, "layer '0' uses the weights of layer '0' again")
    tied = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10))
    tied[1].weight = tied[0].weight
    refused(tied, MAGNITUDE, "'0.weight' and '1.weight' must be different tensors")


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"^method must be 'magnitude' or 'sr-ste', not 'wanda'$"):
        replace(MAGNITUDE, method="wanda")
    with pytest.raises(ValueError, match=r"^permute must be False with 'sr-ste'"):
        replace(SR_STE, permute=True)


def test_presets_are_two_of_four() -> None:
    users = nm_presets.user_settings(pattern=Pattern.parse("1:2"), epochs=7, learning_rate=0.02)
    assert (str(users.pattern), users.dense.epochs, users.dense.learning_rate) == ("1:2", 7, 0.02)
    assert {preset.pattern for preset in (nm_presets.DIGITS, nm_presets.FASHION_MNIST, nm_presets.LENET_5)} == {
        Pattern()
    }
