"""What prunes says which networks it does not take: of sequences, and of products that are no layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.sequences import network, sequences
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.digits import load_digits
from zeroskip.model.network.fold import fold
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.data_checks import require_compilable
from zeroskip.model.pruning.permute import permute


def test_recurrent_layers_and_attention_are_not_pruned() -> None:
    for layer in (nn.LSTM(4, 4), nn.GRU(4, 4), nn.MultiheadAttention(4, 2), nn.ConvTranspose2d(4, 4, 2)):
        with pytest.raises(
            ValueError, match=rf"^layer '0' is a {type(layer).__name__}, which is not pruned; supported"
        ):
            require_compilable(nn.Sequential(layer), load_digits())


def test_convolutions_of_sequences_are_not_pruned() -> None:
    with pytest.raises(ValueError, match=r"^layer 'a' is a Conv1d, which is not pruned; supported in what prunes: "):
        require_compilable(network("convolutions"), load_digits())


def test_moved_channels_are_not_permuted() -> None:
    with pytest.raises(
        ValueError, match=r"^operation 'getitem' moves or joins values; channels are permuted where each layer "
    ):
        permute(network("first token"), Pattern.parse("2:4"), seed=0, samples=sequences("first token"))


class _OfItsOwn(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(input, self.weight - self.weight.mean(), self.bias)


class _Product(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.end = nn.Parameter(torch.randn(4, 6)), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(torch.relu(x.flatten(1) @ self.weight.T))


class _FixedProduct(_Product):
    """Its weight is a buffer."""

    def __init__(self) -> None:
        super().__init__()
        del self.weight
        self.register_buffer("weight", torch.randn(4, 6))


class _Step(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.end = nn.GRUCell(6, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.cell(x.flatten(1)))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            nn.Sequential(nn.Flatten(), _OfItsOwn(6, 3)),
            r"^layer '1' is a _OfItsOwn with a forward\(\) of its own, which",
        ),
        (_Product(), r"^operation 'matmul' multiplies by a tensor of the network, which is not pruned; supported in"),
        (_FixedProduct(), r"^operation 'matmul' multiplies by a tensor of the network, which is not pruned; supp"),
        (_Step(), r"^layer 'cell' is a GRUCell, which is not pruned; supported in what prunes: Linear and Conv2d; "),
    ],
)
def test_weights_that_would_not_be_pruned_are_named(network: nn.Module, message: str) -> None:
    """They are compiled, but pruning would leave them as they are, or prune others than those that multiply."""
    random = np.random.default_rng(0)
    inputs, labels = random.normal(size=(12, 2, 3)).astype(np.float32), np.arange(12) % 3
    data = Dataset(name="points", train_inputs=inputs, train_labels=labels, test_inputs=inputs, test_labels=labels)
    fold(network.eval(), inputs)
    with pytest.raises(ValueError, match=message):
        require_compilable(network, data)
