"""Small networks, each with one kind of layer whose weights a core multiplies, and the core's layers by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset

TOKENS, WIDTH, CLASSES = 6, 8, 3


class Network(nn.Module):
    """Takes (n, 6, 8), and gives scores of 3 classes."""

    def __init__(self, layer: nn.Module, values: int, forward: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.head, self._forward = layer, nn.Linear(values, CLASSES), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._forward(self.layer, x))


@dataclass(frozen=True)
class Kind:
    """`make` gives a layer, `run` flat values of it, `values` of them. `names` are its weights, in order, and
    `matrices` the weights of the core's layers, from those by name."""

    make: Callable[[], nn.Module]
    run: Callable[[nn.Module, Tensor], Tensor]
    values: int
    names: tuple[str, ...]
    matrices: Callable[[dict[str, Tensor]], list[Tensor]]

    def network(self) -> Network:
        torch.manual_seed(1)
        return Network(self.make(), self.values, self.run).eval()

    @property
    def pruned(self) -> list[str]:
        """The names of all weights of the network."""
        return [*(f"layer.{name}" for name in self.names), "head.weight"]

    def core_weights(self, network: nn.Module) -> list[np.ndarray]:
        """The weights of all layers that a core runs."""
        values = {name: network.get_parameter(f"layer.{name}").detach() for name in self.names}
        return [one.numpy() for one in (*self.matrices(values), network.get_parameter("head.weight").detach())]


def _last(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x)[0][:, -1]


def _attention(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x, x, x, need_weights=False)[0][:, 0]


def _cross_attention(layer: nn.Module, x: Tensor) -> Tensor:
    """Of the first tokens over the first values of all."""
    other = x[:, :, :4]
    return layer(x[:, :2], other, other, need_weights=False)[0][:, 0]


def _steps(layer: nn.Module, x: Tensor) -> Tensor:
    """Two steps of a cell."""
    return layer(x[:, 1], layer(x[:, 0]))


def _lstm_step(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x[:, 0])[0]


def _recurrent(*ends: str) -> tuple[str, ...]:
    return tuple(f"weight_{part}_{end}" for end in ends for part in ("ih", "hh"))


def _in_order(values: dict[str, Tensor]) -> list[Tensor]:
    return list(values.values())


def _beside(values: dict[str, Tensor]) -> list[Tensor]:
    return [torch.cat((values["weight_ih"], values["weight_hh"]), 1)]


def _gru_cell(values: dict[str, Tensor]) -> list[Tensor]:
    """The sums of the new gate's two parts are apart, in rows of their own."""
    given, state = values["weight_ih"].chunk(3), values["weight_hh"].chunk(3)
    nothing = (torch.zeros_like(given[2]), torch.zeros_like(state[2]))
    rows = [(given[0], state[0]), (given[1], state[1]), (given[2], nothing[1]), (nothing[0], state[2])]
    return [torch.cat([torch.cat(row, 1) for row in rows])] * 2


def _turned(groups: int) -> Callable[[dict[str, Tensor]], list[Tensor]]:
    """The kernels of a transposed convolution, one number after the other."""

    def matrices(values: dict[str, Tensor]) -> list[Tensor]:
        weight = values["weight"] if values["weight"].dim() == 4 else values["weight"][:, :, None]
        inputs, outputs, high, wide = weight.shape
        each = inputs // groups
        found = torch.zeros(groups * outputs, each, high, wide)
        for one, other, row, column in np.ndindex(*weight.shape):
            group, place = divmod(one, each)
            found[group * outputs + other, place, high - 1 - row, wide - 1 - column] = weight[one, other, row, column]
        return [found]

    return matrices


KINDS = {
    "LSTM": Kind(lambda: nn.LSTM(8, 4, batch_first=True), _last, 4, _recurrent("l0"), _in_order),
    "LSTM, deep and both ways": Kind(
        lambda: nn.LSTM(8, 4, 2, bidirectional=True, batch_first=True),
        _last,
        8,
        _recurrent("l0", "l0_reverse", "l1", "l1_reverse"),
        _in_order,
    ),
    "GRU": Kind(lambda: nn.GRU(8, 4, batch_first=True), _last, 4, _recurrent("l0"), _in_order),
    "RNN": Kind(lambda: nn.RNN(8, 4, bias=False, batch_first=True), _last, 4, _recurrent("l0"), _in_order),
    "LSTMCell": Kind(lambda: nn.LSTMCell(8, 4), _lstm_step, 4, ("weight_ih", "weight_hh"), _beside),
    "GRUCell, two steps": Kind(lambda: nn.GRUCell(8, 4), _steps, 4, ("weight_ih", "weight_hh"), _gru_cell),
    "RNNCell": Kind(lambda: nn.RNNCell(8, 4), lambda m, x: m(x[:, 0]), 4, ("weight_ih", "weight_hh"), _beside),
    "attention": Kind(
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
        _attention,
        8,
        ("in_proj_weight", "out_proj.weight"),
        _in_order,
    ),
    "attention over others": Kind(
        lambda: nn.MultiheadAttention(8, 2, kdim=4, vdim=4, batch_first=True),
        _cross_attention,
        8,
        ("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"),
        _in_order,
    ),
    "Conv1d": Kind(
        lambda: nn.Conv1d(6, 4, 3, groups=2, dilation=2),
        lambda m, x: m(x).flatten(1),
        16,
        ("weight",),
        lambda values: [values["weight"][:, :, None]],
    ),
    "ConvTranspose1d": Kind(
        lambda: nn.ConvTranspose1d(6, 4, 3, stride=2, groups=2),
        lambda m, x: m(x).flatten(1),
        68,
        ("weight",),
        _turned(2),
    ),
    "ConvTranspose2d": Kind(
        lambda: nn.ConvTranspose2d(2, 3, (2, 3), stride=(1, 2), padding=(1, 0)),
        lambda m, x: m(x.reshape(-1, 2, 3, 8)).flatten(1),
        102,
        ("weight",),
        _turned(1),
    ),
}


def dataset() -> Dataset:
    """Samples whose class is the largest of three values."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(48, TOKENS, WIDTH)).astype(np.float32)
    labels = inputs[:, -1, :CLASSES].argmax(1)
    parts = {"train_inputs": inputs[:36], "train_labels": labels[:36]}
    return Dataset(name="sequences", **parts, test_inputs=inputs[36:], test_labels=labels[36:])
