"""Networks with branches: what is read of them computes what torch computes, and what cannot be read is named."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from support.graphs import DECODERS, NETWORKS, Parts, images, network
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.fold import fold
from zeroskip.model.network.operations import Addition, Clamping, Concatenation, Convolution


@pytest.mark.parametrize(
    ("name", "with_samples"),
    [(name, with_samples) for name in NETWORKS for with_samples in (True, False)] + [(name, True) for name in DECODERS],
)
def test_a_folded_graph_computes_what_torch_computes(name: str, with_samples: bool) -> None:
    module, inputs = network(name), images()
    folded = fold(module, inputs if with_samples else None).double()
    wanted = module.double()(inputs.double()).flatten(1)
    found = folded(inputs.double() if folded.images else inputs.double().flatten(1))
    assert (found - wanted).abs().max() <= 1e-6 * wanted.abs().max()


def test_a_folded_network_folds_to_itself() -> None:
    """Cores are compiled from a network that was folded before."""
    folded = fold(network("inverted residual"), images())
    again = fold(folded, images())
    assert again.operations == folded.operations
    assert all(torch.equal(*pair) for pair in zip(again.parameters(), folded.parameters(), strict=True))


def test_a_block_needs_no_operation_that_its_layers_can_do() -> None:
    """Batch normalisation and the ReLU behind the addition cost nothing; the shortcut reads what the block reads."""
    folded = fold(network("basic block"), images())
    kinds = [type(operation) for operation in folded.operations[:3]]
    assert kinds == [Convolution, Convolution, Addition]
    assert [operation.back for operation in folded.operations[:3]] == [(1,), (1,), (1, 3)]
    assert folded.operations[2].relu
    assert len(folded.operations) == 5


def test_what_others_read_too_is_not_changed() -> None:
    """A ReLU of a value that is read without it, and a limit, are operations of their own."""
    (relu,) = (
        one for one in fold(network("value read before and after its ReLU")).operations if isinstance(one, Clamping)
    )
    assert (relu.low, relu.high) == (0, float("inf"))
    limits = [one for one in fold(network("inverted residual")).operations if isinstance(one, Clamping)]
    assert [(one.low, one.high) for one in limits] == [(0, 6), (0, 6)]
    assert any(isinstance(one, Concatenation) for one in fold(network("inception")).operations)


REFUSED: dict[str, tuple[Callable[[Parts, Tensor], Tensor], str]] = {
    "factors that change after they were expanded": (
        lambda m, x: _expanded(F.adaptive_avg_pool2d(m.a(x), 1), m.b(x)).flatten(1),
        "operation 'relu' changes its input in place, and operation 'mul' uses that too; use an operation that is not",
    ),
    "product in place before another reader": (
        lambda m, x: _changed(m, m.a(x), lambda y: _multiplied(y, x) + m.b(y)),
        "operation 'imul' changes its input in place, and layer 'b' uses that too; use an operation that is not in pla",
    ),
    "scaled sum": (
        lambda m, x: torch.add(m.a(x), m.b(x), alpha=2).flatten(1),
        "operation 'add' has an alpha, or an out; supported: the plain sum of two values",
    ),
    "no table": (lambda m, x: torch.erf(m.a(x)).flatten(1), "operation 'erf' is erf; supported: Linear, "),
    "ReLU in place before the shortcut": (
        lambda m, x: _changed(m, m.a(x), lambda y: m.b(F.relu(y, inplace=True)) + y),
        "operation 'relu' changes its input in place, and operation 'add' uses that too; use an operation that is not",
    ),
    "sum in place before another reader": (
        lambda m, x: _changed(m, m.a(x), lambda y: _added(y, x) + m.b(y)),
        "operation 'iadd' changes its input in place, and layer 'b' uses that too; use an operation that is not in pla",
    ),
}


def _changed(m: Parts, y: Tensor, use: Callable[[Tensor], Tensor]) -> Tensor:
    return use(y).flatten(1)


def _kept(y: Tensor) -> Tensor:
    before = y.clone()
    return F.relu(y, inplace=True) + before


def _multiplied(y: Tensor, x: Tensor) -> Tensor:
    y *= x
    return y


def _expanded(factors: Tensor, y: Tensor) -> Tensor:
    view = factors.expand_as(y)
    changed = F.relu(factors, inplace=True)
    return y * view * changed


def _added(y: Tensor, x: Tensor) -> Tensor:
    y += x
    return y


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_joined_is_named_with_its_line(name: str) -> None:
    forward, message = REFUSED[name]
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}.* \(\S*test_graph.py, line \d+\)$"):
        fold(Parts(forward), images())


def test_a_layer_in_place_that_alone_reads_its_input_changes_nothing_else() -> None:
    """The shortcut is read before, as in torchvision's blocks."""
    module = Parts(lambda m, x: (m.c(y := m.a(x)) + m.relu(m.b(y))).flatten(1)).eval()
    inputs = images()
    assert (fold(module, inputs)(inputs) - module(inputs)).abs().max() < 1e-5


def test_a_clone_keeps_what_is_changed_in_place() -> None:
    module = Parts(lambda m, x: _kept(m.a(x)).flatten(1)).eval()
    inputs = images()
    assert (fold(module, inputs)(inputs) - module(inputs)).abs().max() < 1e-5


def test_images_of_another_size_do_not_meet() -> None:
    """Found with the shape of the images, as without samples nothing is known of it."""
    from zeroskip.model.network.lower import lower

    folded = fold(nn.Sequential(Parts(lambda m, x: (m.down(x) + m.wide(x)).flatten(1))))
    with pytest.raises(
        ValueError, match=r"^operation 2 of the network adds 8 x 3 x 3 and 8 x 6 x 6; supported: the sum"
    ):
        lower(folded.operations, (4, 6, 6))
