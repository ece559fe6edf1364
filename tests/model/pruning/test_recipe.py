import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.digits import load_digits
from zeroskip.model.network.fold import fold
from zeroskip.model.network.reading.supported import SUPPORTED
from zeroskip.model.networks import digits_mlp, lenet_300_100
from zeroskip.model.pruning.presets import DIGITS
from zeroskip.model.pruning.recipe import PruneAndShareResult, PruneAndShareSettings, prune_and_share, share
from zeroskip.model.pruning.training import TrainingSettings
from zeroskip.model.pruning.training_run import TrainingProgress

TRAINING = TrainingSettings(epochs=2, learning_rate=0.05, weight_decay=1e-4, batch_size=64)
SHORT = PruneAndShareSettings(
    density=0.2,
    rounds=3,
    dense=TRAINING,
    retrain=TRAINING,
    share=replace(TRAINING, learning_rate=1e-3, optimizer="adam"),
    threads=1,
)
EPOCHS = 2 + 3 * 2 + 2


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_digits()


def network() -> nn.Sequential:
    """A network with state: batch statistics, and the random numbers of dropout."""
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Linear(64, 40),
        nn.BatchNorm1d(40),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(40, 20),
        nn.Linear(20, 10),
    )


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [part.weight.detach() for part in module.modules() if isinstance(part, nn.Linear)]


def assert_same(left: PruneAndShareResult, right: PruneAndShareResult) -> None:
    for one, other in ((left.dense, right.dense), (left.pruned, right.pruned), (left.shared, right.shared)):
        for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    assert left.accuracies == right.accuracies


@pytest.fixture(scope="module")
def uninterrupted(digits: Dataset) -> PruneAndShareResult:
    return prune_and_share(network(), digits, settings=SHORT, seed=3)


class Stop(Exception):
    pass


def stop_after(epochs: int) -> Callable[[TrainingProgress], None]:
    def progress(report: TrainingProgress) -> None:
        if report.done == epochs:
            raise Stop

    return progress


@pytest.mark.parametrize("epochs", range(1, EPOCHS + 1))
def test_resumed_run_equals_an_uninterrupted_one(
    digits: Dataset, uninterrupted: PruneAndShareResult, tmp_path: Path, epochs: int
) -> None:
    path = tmp_path / "run.safetensors"
    with pytest.raises(Stop):
        prune_and_share(network(), digits, settings=SHORT, seed=3, checkpoint=path, progress=stop_after(epochs))
    reports: list[TrainingProgress] = []
    torch.manual_seed(epochs)
    module = network()
    torch.manual_seed(epochs)
    resumed = prune_and_share(module, digits, settings=SHORT, seed=3, checkpoint=path, progress=reports.append)
    assert [report.done for report in reports] == list(range(epochs, EPOCHS + 1))
    # The first report says where it resumes.
    assert [report.loss is None for report in reports] == [True] + [False] * (EPOCHS - epochs)
    assert_same(resumed, uninterrupted)


def test_finished_run_is_only_read(digits: Dataset, uninterrupted: PruneAndShareResult, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    prune_and_share(network(), digits, settings=SHORT, seed=3, checkpoint=path)
    before, reports = path.read_bytes(), []
    again = prune_and_share(network(), digits, settings=SHORT, seed=3, checkpoint=path, progress=reports.append)
    assert [(report.done, report.loss) for report in reports] == [(EPOCHS, None)]
    assert path.read_bytes() == before
    assert_same(again, uninterrupted)


@pytest.mark.parametrize("what", ["seed", "settings", "data", "weights"])
def test_checkpoint_of_another_run_is_started_over(digits: Dataset, tmp_path: Path, what: str) -> None:
    path = tmp_path / "run.safetensors"
    with pytest.raises(Stop):
        prune_and_share(network(), digits, settings=SHORT, seed=3, checkpoint=path, progress=stop_after(1))
    module, dataset, settings, seed = network(), digits, SHORT, 3
    if what == "seed":
        seed = 4
    elif what == "settings":
        settings = replace(SHORT, density=0.3)
    elif what == "data":
        dataset = replace(digits, train_inputs=digits.train_inputs * np.float32(0.5))
    else:
        nn.init.zeros_(module[0].bias)
    reports: list[TrainingProgress] = []

    def progress(report: TrainingProgress) -> None:
        reports.append(report)
        raise Stop

    with pytest.raises(Stop):
        prune_and_share(module, dataset, settings=settings, seed=seed, checkpoint=path, progress=progress)
    assert [report.done for report in reports] == [1]


def test_damaged_checkpoint_is_no_silent_restart(digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=f"^{path}: must be a complete checkpoint, but: "):
        prune_and_share(network(), digits, settings=SHORT, seed=3, checkpoint=path)


def test_results_agree(digits: Dataset, uninterrupted: PruneAndShareResult) -> None:
    """The counts, layers and accuracies of one run agree with its networks. One test, as a run is expensive."""
    total = 64 * 40 + 40 * 20 + 20 * 10
    assert uninterrupted.total == total
    assert uninterrupted.kept == round(0.2 * total)
    assert sum(int(weight.count_nonzero()) for weight in weights(uninterrupted.pruned)) == uninterrupted.kept
    assert [layer.relu for layer in uninterrupted.layers] == [True, False, False]
    for layer, pruned, shared in zip(
        uninterrupted.layers, weights(uninterrupted.pruned), weights(uninterrupted.shared), strict=True
    ):
        assert np.array_equal(layer.weight, shared.numpy())
        assert np.array_equal(layer.weight_codes != 0, pruned.numpy() != 0)
    assert uninterrupted.accuracies is not None
    assert list(uninterrupted.accuracies) == ["dense", "pruned", "shared"]


def test_given_module_is_left_alone(digits: Dataset) -> None:
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    prune_and_share(module, digits, settings=replace(SHORT, rounds=1), seed=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_trained_weights_can_be_brought_along(digits: Dataset, uninterrupted: PruneAndShareResult) -> None:
    settings = replace(SHORT, dense=replace(TRAINING, epochs=0))
    result = prune_and_share(uninterrupted.dense, digits, settings=settings, seed=0)
    assert result.accuracies is not None
    assert result.accuracies["dense"] == uninterrupted.accuracies["dense"]
    for before, after in zip(weights(uninterrupted.dense), weights(result.dense), strict=True):
        assert torch.equal(before, after)


def test_density_by_layer(digits: Dataset) -> None:
    settings = replace(SHORT, density=(0.1, 0.25, 0.5))
    result = prune_and_share(network(), digits, settings=settings, seed=0)
    assert [int(weight.count_nonzero()) for weight in weights(result.pruned)] == [256, 200, 100]


def test_progress_counts_stages_and_epochs(digits: Dataset) -> None:
    reports: list[TrainingProgress] = []
    prune_and_share(network(), digits, settings=SHORT, seed=3, progress=reports.append)
    stages = ["train", "prune 1/3", "prune 2/3", "prune 3/3", "share"]
    assert [(report.stage, report.epoch) for report in reports] == [(s, e) for s in stages for e in (1, 2)]
    assert [report.done for report in reports] == list(range(1, EPOCHS + 1))
    assert {(report.epochs, report.total) for report in reports} == {(2, EPOCHS)}


def test_share_takes_a_network_as_it_is() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 4))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_((parameter * 20).round() / 20)
    result = share(module, fold(module))
    assert result.accuracies is None
    assert result.total == 240
    assert result.kept == sum(int(weight.count_nonzero()) for weight in weights(module))
    inputs = torch.randn(30, 20)
    assert torch.equal(result.shared(inputs), module(inputs))
    labels = module(inputs).argmax(1)
    accuracies = share(module, fold(module), test_inputs=inputs.numpy(), test_labels=labels.numpy()).accuracies
    assert accuracies == {"dense": 1, "pruned": 1, "shared": 1}


def small_conv() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10)
    )


def test_convolutions_are_pruned_and_shared(digits: Dataset) -> None:
    images = replace(
        digits,
        train_inputs=digits.train_inputs.reshape(-1, 1, 8, 8),
        test_inputs=digits.test_inputs.reshape(-1, 1, 8, 8),
    )
    settings = replace(SHORT, density=(0.5, 0.25, 0.25), dense=replace(TRAINING, epochs=10))
    result = prune_and_share(small_conv(), images, settings=settings, seed=0)
    assert [int(part.weight.count_nonzero()) for part in result.pruned if hasattr(part, "weight")] == [27, 48, 80]
    assert (result.kept, result.total) == (27 + 48 + 80, 54 + 192 + 320)
    assert result.accuracies is not None
    assert result.accuracies["shared"] > 0.8


@pytest.mark.parametrize(
    ("module", "settings", "message"),
    [
        (
            small_conv(),
            SHORT,
            "digits: train_inputs must be samples x channels x height x width, as the network takes, not (1437, 64)",
        ),
        (
            lenet_300_100(),
            SHORT,
            "digits: train_inputs must have 784 values a sample, as the network takes, not 64",
        ),
        (
            nn.Sequential(nn.Linear(64, 9)),
            SHORT,
            "digits: train_labels must be class numbers below 9, the network's number of outputs, not 9 "
            "(in 144 of 1,437 samples)",
        ),
        (
            nn.Sequential(nn.Linear(64, 10), nn.Softsign()),
            SHORT,
            f"layer '1' is a Softsign; supported: {SUPPORTED}",
        ),
        (
            digits_mlp(),
            replace(SHORT, density=(0.5, 0.5)),
            "density must be one for each of 3 weights (1.weight, 3.weight, 5.weight), not 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    digits: Dataset, module: nn.Module, settings: PruneAndShareSettings, message: str
) -> None:
    reports: list[TrainingProgress] = []
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        prune_and_share(module, digits, settings=settings, seed=0, progress=reports.append)
    assert reports == []


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"^density must be above 0 and at most 1, not 0$"):
        replace(SHORT, density=0)
    with pytest.raises(ValueError, match=r"^steps must be at least 1, not 0$"):
        replace(SHORT, rounds=0)


def test_networks_depend_on_the_seed_alone() -> None:
    torch.manual_seed(9)
    state = torch.get_rng_state()
    first = digits_mlp(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert [tuple(weight.shape) for weight in weights(first)] == [(300, 64), (100, 300), (10, 100)]
    assert [tuple(weight.shape) for weight in weights(lenet_300_100())] == [(300, 784), (100, 300), (10, 100)]
    assert torch.equal(first[1].weight, digits_mlp(seed=2)[1].weight)
    assert not torch.equal(first[1].weight, digits_mlp(seed=3)[1].weight)


def test_digits_preset_keeps_its_promise(digits: Dataset) -> None:
    result = prune_and_share(digits_mlp(), digits, settings=DIGITS, seed=0)
    assert result.total >= 10 * result.kept
    assert result.accuracies is not None
    assert result.accuracies["shared"] >= 0.96
    assert result.accuracies["shared"] >= result.accuracies["dense"] - 0.01


def test_layers_that_share_a_weight_are_refused_before_training(digits: Dataset) -> None:
    module = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    module[2].weight = module[0].weight
    message = r"^'0.weight' and '2.weight' must be different tensors.* layer.weight = nn.Parameter"
    with pytest.raises(ValueError, match=message):
        prune_and_share(module, digits, settings=SHORT, seed=0, progress=lambda _: pytest.fail("it trained"))
    assert share(module, fold(module), inputs=digits.train_inputs).total == 2 * 64 * 64 + 64 * 10
