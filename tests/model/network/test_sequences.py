"""Sequences and tokens: what is read of networks computes what torch computes, and what cannot be read is named."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from support.sequences import NETWORKS, Parts, network, sequences
from torch import Tensor

from zeroskip.model.network.fold import fold
from zeroskip.model.network.operations import AveragePooling, Convolution, Imaging, Linear, Rearrangement


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_what_torch_computes(name: str) -> None:
    module, inputs = network(name), sequences(name)
    folded = fold(module, inputs).double()
    wanted = module.double()(inputs.double()).flatten(1)
    assert not folded.images
    assert (folded(inputs.double().flatten(1)) - wanted).abs().max() <= 1e-6 * wanted.abs().max()


def test_a_chain_of_convolutions_moves_nothing() -> None:
    """Its values are images of height 1 all along; batch normalisation and ReLU belong to the layers."""
    kinds = [type(one) for one in fold(network("residual"), sequences("residual")).operations]
    assert Rearrangement not in kinds
    assert kinds.count(Imaging) == 1
    convolutions = [one for one in fold(network("convolutions"), sequences("convolutions")).operations]
    first = convolutions[1]
    assert isinstance(first, Convolution)
    assert (first.kernel, first.padding, first.relu) == ((1, 3), (0, 1), True)


def test_moves_one_after_another_are_one() -> None:
    """A value is transposed there, and only there, where torch's order of values changes between two layers."""
    kinds = [type(one) for one in fold(network("heads"), sequences("heads")).operations]
    assert kinds == [Linear, Rearrangement, Imaging, AveragePooling, Linear]


REFUSED: dict[str, tuple[Callable[[Parts, Tensor], Tensor], str]] = {
    "samples first": (
        lambda m, x: m.a(x).permute(1, 0, 2),
        "operation 'permute' makes values of shape (6, 3, 12) of (3, 6, 12), 3 samples; supported: values whose first",
    ),
    "samples and tokens": (
        lambda m, x: m.a(x).flatten(0, 1),
        "the network gives values of shape (18, 12) for 3 samples; it must give samples in the first dimension",
    ),
    "mean of samples": (lambda m, x: m.a(x).mean(0), "operation 'mean' is a mean over 0; supported: over dim"),
    "mean of all": (lambda m, x: m.a(x).mean(), "operation 'mean' is a mean over None; supported: over dimensions"),
    "other samples": (
        lambda m, x: m.a(x).roll(1, 0),
        "operation 'roll' is roll; supported: ",
    ),
    "no order": (
        lambda m, x: m.a(x)[:, [[0, 1, 3], [5, 4, 2]]],
        "operation 'getitem' takes values in no regular order; supported: those of slices and permutations",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(name: str) -> None:
    forward, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        fold(Parts(forward).eval(), sequences("residual"))


def test_sequences_need_samples() -> None:
    with pytest.raises(ValueError, match=r"^layer 'a' is a Conv1d, which can only be compiled with samples of the"):
        fold(network("convolutions"))
