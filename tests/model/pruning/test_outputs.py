"""The loss of logits, log-probabilities, probabilities and images of one value: the same."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from zeroskip.model.pruning.distil import Distillation
from zeroskip.model.pruning.outputs import class_scores, logits
from zeroskip.model.pruning.training import cross_entropy, evaluate

SCORES = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.arange(12) % 5

OUTPUTS = {
    "logits": SCORES,
    "log_softmax": F.log_softmax(SCORES, 1),
    "softmax": F.softmax(SCORES, 1),
    "images": SCORES[:, :, None, None],
    "softmax of images": F.softmax(SCORES, 1)[:, :, None, None],
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_loss_is_that_of_the_logits(name: str) -> None:
    """The mean of -log p of the label, written out."""
    probabilities = torch.exp(SCORES) / torch.exp(SCORES).sum(1, keepdim=True)
    expected = -torch.log(probabilities[torch.arange(12), LABELS]).mean()
    outputs = OUTPUTS[name].clone().requires_grad_()
    found = cross_entropy(outputs, torch.empty(0), LABELS)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    assert outputs.grad.abs().sum() > 0


@pytest.mark.parametrize("name", OUTPUTS)
def test_distillation_is_that_of_the_logits(name: str) -> None:
    teacher = torch.nn.Identity()
    expected = Distillation(teacher, temperature=3.0, alpha=0.4)(SCORES, SCORES.roll(1, 0), LABELS)
    found = Distillation(teacher, temperature=3.0, alpha=0.4)(OUTPUTS[name], OUTPUTS[name].roll(1, 0), LABELS)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_accuracy_is_that_of_the_logits(name: str) -> None:
    """The most probable classes, and four of twelve labels wrong."""
    labels = torch.tensor([max(range(5), key=lambda c: float(row[c])) for row in SCORES])
    labels[:4] = (labels[:4] + 1) % 5
    assert evaluate(torch.nn.Identity(), OUTPUTS[name], labels) == 8 / 12


def test_zero_probabilities_have_a_finite_loss() -> None:
    outputs = torch.eye(5, requires_grad=True)
    found = cross_entropy(outputs, torch.empty(0), torch.tensor([1, 1, 2, 3, 4]))
    found.backward()
    assert found.isfinite()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()


def test_scores_that_are_no_probabilities_stay() -> None:
    for scores in (SCORES, SCORES.relu(), torch.ones(3, 5), -F.softmax(SCORES, 1)):
        assert torch.equal(logits(scores), scores)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"^the network must give outputs of shape \(samples, classes\), not the shape .*"
        r"\(2, 5, 3, 1\); average over height and width",
    ):
        class_scores(torch.zeros(2, 5, 3, 1))
    with pytest.raises(ValueError, match=r"not the shape \(2,\)$"):
        class_scores(torch.zeros(2))


@pytest.mark.parametrize(
    "scores",
    [
        # Rows that sum to one with a score below zero, of one row or of all.
        torch.tensor([[1.5, -0.5], [0.25, 0.75]]),
        torch.tensor([[1.5, -0.5], [2.0, -1.0]]),
        # No score below zero, but a sum of another number.
        torch.tensor([[0.5, 0.5], [0.5, 0.6]]),
        torch.tensor([[3.0, 1.0], [0.25, 0.75]]),
    ],
)
def test_logits_that_look_like_probabilities(scores: torch.Tensor) -> None:
    assert torch.equal(logits(scores), scores)
