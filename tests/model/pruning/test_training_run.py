"""What a run of several stages reports, where it goes on and what it says of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from zeroskip.model.pruning.training import TrainingSettings
from zeroskip.model.pruning.training_run import TrainingProgress, TrainingRun

INPUTS = torch.randn(24, 4, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(24) % 3
EPOCHS = {"first": 2, "second": 3}


class Stop(Exception):
    pass


def run(path: Path | None, stop: int | None = None) -> tuple[nn.Module, list[tuple[str, int, int, int, int, bool]]]:
    """The network after two stages, and the reports; stopped after `stop` epochs."""
    torch.manual_seed(2)
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    reports = []

    def progress(report: TrainingProgress) -> None:
        about = (report.stage, report.epoch, report.epochs, report.done, report.total)
        reports.append((*about, report.loss is None))
        if report.done == stop and report.loss is not None:
            raise Stop

    training = TrainingRun(LABELS, seed=3, total=5, configuration="one", path=path, progress=progress)
    for name, epochs in EPOCHS.items():
        settings = TrainingSettings(epochs=epochs, learning_rate=0.1, weight_decay=0, batch_size=8)
        training.stage(name, module, INPUTS, settings, keep=name)
    return module, reports


WHOLE = [
    ("first", 1, 2, 1, 5, False),
    ("first", 2, 2, 2, 5, False),
    ("second", 1, 3, 3, 5, False),
    ("second", 2, 3, 4, 5, False),
    ("second", 3, 3, 5, 5, False),
]


def test_every_epoch_is_reported() -> None:
    assert run(None)[1] == WHOLE


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5])
def test_a_resumed_run_says_how_many_epochs_are_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, epochs: int
) -> None:
    path = tmp_path / "state"
    with pytest.raises(Stop):
        run(path, epochs)
    with caplog.at_level(logging.INFO, logger="zeroskip"):
        module, reports = run(path)
    stage, epoch, of, done, total, _ = WHOLE[epochs - 1]
    assert reports == [(stage, epoch, of, done, total, True), *WHOLE[epochs:]]
    resumed = f"resumed from {path}: {epochs} of 5 epochs are done"
    complete = f"{path} holds this training, complete: nothing was trained again; delete it to train anew"
    assert [record.getMessage() for record in caplog.records] == [complete if epochs == 5 else resumed]
    uninterrupted, _ = run(None)
    for one, other in zip(module.parameters(), uninterrupted.parameters(), strict=True):
        assert torch.equal(one, other)
