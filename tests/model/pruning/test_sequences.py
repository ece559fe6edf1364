"""What prunes says which networks it does not take: of sequences, and of products that are no layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.sequences import network, sequences
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.network.fold import fold
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.data_checks import require_compilable
from zeroskip.model.pruning.permute import permute


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


class _Tied(nn.Module):
    """The head is the embedding, without being its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.first = nn.Embedding(3, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(torch.relu(self.first(x.flatten(1))), self.embedding.weight)


class _Scores(nn.Module):
    """It adds a parameter to what it reads, and multiplies by another one, a vector of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.place, self.weight = nn.Parameter(torch.randn(2, 3)), nn.Parameter(torch.zeros(3))
        self.first, self.end = nn.Linear(3, 3), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.end((self.first(x) + self.place) @ self.weight)


class _Sequence(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.end = layer, nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.layer(x)[0][:, -1])


class _OfItsOwnLstm(nn.LSTM):
    def forward(self, input: Tensor, hx: object = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # type: ignore[override]
        return super().forward(input * 2)


def _lstm() -> nn.LSTM:
    return nn.LSTM(3, 4, batch_first=True)


def _one_weight() -> nn.Module:
    layer = nn.RNN(4, 4, batch_first=True)
    layer.weight_hh_l0 = layer.weight_ih_l0
    return nn.Sequential(nn.Linear(3, 4), _Sequence(layer))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            nn.Sequential(nn.Flatten(), _OfItsOwn(6, 3)),
            r"^layer '1' is a _OfItsOwn with a forward\(\) of its own, which",
        ),
        (_Product(), r"^operation 'matmul' multiplies by a parameter of the network that is no layer's weight, which"),
        (_Tied(), r"^operation 'linear' multiplies by a parameter of the network that is no layer's weight, which"),
        (_Scores(), r"^operation 'matmul' multiplies by a parameter of the network that is no layer's weight, which"),
        (
            _Sequence(nn.utils.parametrizations.weight_norm(_lstm(), "weight_hh_l0")),
            r"^the weight_hh_l0 of 'layer' must be a parameter, not computed from others; remove weight_norm or spec",
        ),
        (
            _Sequence(_OfItsOwnLstm(3, 4, batch_first=True)),
            r"^layer 'layer' is a _OfItsOwnLstm with a forward\(\) of its own, .*; make it a LSTM$",
        ),
        (_one_weight(), r"^'1.layer.weight_ih_l0' and '1.layer.weight_hh_l0' must be different tensors, not one that"),
    ],
)
def test_weights_that_would_not_be_pruned_are_named(network: nn.Module, message: str) -> None:
    """They are compiled, but pruning would leave them as they are, or prune others than those that multiply."""
    data = points()
    if not isinstance(network, _Sequence):
        fold(network.eval(), data.train_inputs)
    with pytest.raises(ValueError, match=message):
        require_compilable(network, data)


def points() -> Dataset:
    random = np.random.default_rng(0)
    inputs, labels = random.normal(size=(12, 2, 3)).astype(np.float32), np.arange(12) % 3
    return Dataset(name="points", train_inputs=inputs, train_labels=labels, test_inputs=inputs, test_labels=labels)


def test_products_with_tensors_that_nobody_trains_are_let_through() -> None:
    """A filter or a graph that is given is not pruned."""
    require_compilable(_FixedProduct(), points())


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            _FixedProduct(),
            r"^operation 'matmul' multiplies by no weight of a Linear or convolution; channels are ",
        ),
        (
            _Sequence(_lstm()),
            r"^layer 'layer' multiplies by no weight of a Linear or convolution; channels are ",
        ),
    ],
)
def test_what_is_no_chain_of_layers_is_not_permuted(network: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        permute(network.eval(), Pattern.parse("2:4"), seed=0, samples=torch.from_numpy(points().train_inputs))
