import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from zeroskip.model.pruning.distil import Distillation
from zeroskip.model.pruning.training import Loss, TrainingSettings, cross_entropy, train
from zeroskip.model.pruning.training_run import TrainingProgress, TrainingRun

INPUTS = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))


def network(seed: int, hidden: int = 8) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, 3))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_loss_by_the_formula_of_the_paper(temperature: float, alpha: float) -> None:
    teacher, outputs, labels = network(1), torch.randn(40, 3), torch.arange(40) % 3
    found = Distillation(teacher, temperature=temperature, alpha=alpha)(outputs, INPUTS, labels)
    expected = 0.0
    taught = teacher.eval()(INPUTS).detach()
    for student, wanted, label in zip(outputs.double(), taught.double(), labels, strict=True):
        p, q = (wanted / temperature).softmax(0), (student / temperature).softmax(0)
        soft = sum(float(a * math.log(a / b)) for a, b in zip(p, q, strict=True))
        expected += alpha * temperature**2 * soft - (1 - alpha) * math.log(student.softmax(0)[label])
    assert found.item() == pytest.approx(expected / 40, rel=1e-5)


def test_hard_loss_alone_is_cross_entropy() -> None:
    outputs, labels = torch.randn(40, 3), torch.arange(40) % 3
    hard = Distillation(network(1), temperature=3, alpha=0)
    assert torch.equal(hard(outputs, INPUTS, labels), cross_entropy(outputs, INPUTS, labels))


def test_gradient_does_not_vanish_with_temperature() -> None:
    # Section 2.1: at high temperatures the gradient is (outputs - targets) / classes / samples, of centred outputs.
    teacher = network(1)
    outputs = torch.randn(40, 3).requires_grad_()
    Distillation(teacher, temperature=1000, alpha=1)(outputs, INPUTS, torch.zeros(40, dtype=torch.long)).backward()
    difference = outputs.detach() - teacher.eval()(INPUTS).detach()
    expected = (difference - difference.mean(1, keepdim=True)) / 3 / 40
    torch.testing.assert_close(outputs.grad, expected, rtol=1e-2, atol=1e-4)


def test_teacher_is_a_copy_that_nothing_changes() -> None:
    teacher = network(1).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    loss = Distillation(teacher, temperature=2, alpha=1)
    outputs, labels = torch.randn(40, 3, requires_grad=True), torch.zeros(40, dtype=torch.long)
    first = loss(outputs, INPUTS, labels)
    first.backward()
    assert teacher.training
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in teacher.parameters())
    nn.init.zeros_(teacher[0].weight)
    assert torch.equal(loss(outputs, INPUTS, labels), first)


def student(loss: Loss, labels: torch.Tensor) -> nn.Sequential:
    module = network(2, hidden=32)
    training = TrainingSettings(epochs=40, learning_rate=0.1, weight_decay=0, batch_size=8)
    train(
        module,
        INPUTS,
        labels,
        training=training,
        optimizer=training.make_optimizer(module),
        seed=0,
        stage=0,
        on_epoch=lambda *_: None,
        loss=loss,
    )
    return module.eval()


def test_student_learns_what_the_teacher_says_not_the_labels() -> None:
    teacher = network(1, hidden=32)
    labels = torch.zeros(40, dtype=torch.long)
    taught = teacher.eval()(INPUTS).argmax(1)
    assert len(taught.unique()) == 3
    loss = Distillation(teacher, temperature=4, alpha=1)
    module = student(loss, labels)
    assert (module(INPUTS).argmax(1) == taught).float().mean() > 0.8
    again = student(loss, labels)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))
    assert (student(cross_entropy, labels)(INPUTS).argmax(1) == labels).all()


class Stop(Exception):
    pass


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5])
def test_resumed_distillation_equals_an_uninterrupted_one(tmp_path: Path, epochs: int) -> None:
    """The teacher is the result of the first stage, which a resumed run restores."""
    training = TrainingSettings(epochs=3, learning_rate=0.1, weight_decay=0, batch_size=8)
    labels = torch.arange(40) % 3

    def whole(path: Path | None, stop: int | None = None, alpha: float = 0.7) -> nn.Sequential:
        def progress(report: TrainingProgress) -> None:
            if report.done == stop:
                raise Stop

        run = TrainingRun(labels, seed=0, total=6, configuration="", path=path, progress=progress)
        teacher, module = network(1, hidden=32), network(2)
        run.stage("teacher", teacher, INPUTS, training, keep="teacher")
        loss = Distillation(teacher, temperature=4, alpha=alpha)
        run.stage("student", module, INPUTS, training, keep="student", loss=loss)
        return module

    path = tmp_path / "run.safetensors"
    with pytest.raises(Stop):
        whole(path, epochs)
    expected, resumed = whole(None).state_dict(), whole(path).state_dict()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    # The stage is trained with this loss.
    assert not torch.equal(expected["0.weight"], whole(None, alpha=0).state_dict()["0.weight"])


def test_distillation_is_checked() -> None:
    for temperature in (0, -1, math.inf):
        with pytest.raises(ValueError, match=f"^temperature must be above 0 and finite, not {temperature}$"):
            Distillation(network(1), temperature=temperature, alpha=0.5)
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=f"^alpha must be 0 to 1, not {alpha}$"):
            Distillation(network(1), temperature=1, alpha=alpha)
    loss = Distillation(network(1), temperature=1, alpha=0.5)
    with pytest.raises(ValueError, match=f"^{re.escape('the teacher must give outputs (40, 4), not (40, 3)')}$"):
        loss(torch.zeros(40, 4), INPUTS, torch.zeros(40, dtype=torch.long))
