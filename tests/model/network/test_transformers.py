"""Attention, normalisation and embeddings: what is read of networks computes what torch computes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from support.transformers import NETWORKS, Parts, network, tokens
from torch import Tensor

from zeroskip.model.network.fold import fold


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_what_torch_computes(name: str) -> None:
    module, inputs = network(name), tokens(name)
    folded = fold(module, inputs).double()
    wanted = module.double()(inputs.long() if name == "GPT" else inputs.double()).flatten(1)
    assert (folded(inputs.double().flatten(1)) - wanted).abs().max() <= 1e-6 * wanted.abs().max()


REFUSED: dict[str, tuple[Callable[[Parts, Tensor], Tensor], str]] = {
    "a mask that is read otherwise": (
        lambda m, x: m.head(m.proj(x).masked_fill(torch.ones(6, 8) > 0, -torch.inf) * 2),
        "operation 'masked_fill' is masked_fill with a mask, which operation 'mul' reads; supported: mask",
    ),
    "a mask of the values": (
        lambda m, x: m.head(m.proj(x).masked_fill(m.proj(x) > 0, -torch.inf).softmax(-1)),
        "operation 'gt' is gt; supported: ",
    ),
    "a mask of zeros": (
        lambda m, x: m.head(m.proj(x).masked_fill(torch.ones(6, 8) > 0, 0.0).softmax(-1)),
        "operation 'masked_fill' is masked_fill; supported: scores that a constant mask fills with -inf",
    ),
    "nothing but mask": (
        lambda m, x: m.head(m.proj(x).masked_fill(torch.ones(6, 8) > 0, -torch.inf).softmax(-1)),
        "operation 'softmax' has a mask that leaves a row without any value; leave one at least",
    ),
    "weights of attention": (
        lambda m, x: m.head(m.attention(y := m.proj(x), y, y)[1] @ y),
        "operation 'getitem' takes another result than supported of 'attention'; supported: the values of an attention",
    ),
    "log_softmax": (
        lambda m, x: m.head(torch.log_softmax(m.proj(x)[:, 0], 1)),
        "operation 'log_softmax' is a log_softmax before layer 'head'; supported: at the end, where it does not change",
    ),
    "softmax over samples": (
        lambda m, x: m.head(m.proj(x).softmax(0)),
        "operation 'softmax' is a softmax over dimension 0; supported: 1, that of the classes, and others of each samp",
    ),
    "a constant that samples differ in": (
        lambda m, x: m.proj(x) + torch.arange(len(x))[:, None, None],
        "operation 'add' has a constant that differs from sample to sample; supported: the same for each",
    ),
    "infinite": (
        lambda m, x: m.proj(x) + torch.tensor([torch.inf] * 8),
        "operation 'add' has a constant that is not finite (NaN or infinity)",
    ),
    "an einsum that is no product": (
        lambda m, x: torch.einsum("bij,bkj", m.proj(x), x),
        "operation 'einsum' is an einsum of 'bij,bkj'; supported: two values, each dimension once, with '->' and",
    ),
    "an einsum over samples": (
        lambda m, x: torch.einsum("bij,bkj->ikb", m.proj(x), x),
        "operation 'einsum' is an einsum of 'bij,bkj->ikb'; supported: those in which the samples are first everywhere",
    ),
    "an einsum that sums one value": (
        lambda m, x: torch.einsum("bij,bkl->bik", m.proj(x), x),
        "operation 'einsum' is an einsum of 'bij,bkl->bik'; supported: those in which the samples are first everywhere",
    ),
    "a sum over samples": (
        lambda m, x: m.proj(x) + m.proj(x).sum(0),
        "operation 'sum_1' is sum over 0; supported: over dimensions of each sample, which begin with 1, and without a",
    ),
    "the greatest of all": (
        lambda m, x: m.proj(x) + m.proj(x).max(),
        "operation 'max_1' is max over None; supported: over dimensions of each sample, which begin with 1, and witho",
    ),
    "divided by a value": (
        lambda m, x: m.proj(x) / x,
        "operation 'truediv' is truediv, which joins 'proj' and 'x'; val",
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(name: str) -> None:
    forward, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        fold(Parts(forward).eval(), tokens("attention"))


def test_a_token_that_is_no_row_of_the_embedding_is_named() -> None:
    """Torch says so for the samples of the network, and the files of it for others."""
    with pytest.raises(
        ValueError, match=r"^Parts does not take samples of shape \(6,\): IndexError: index out of range"
    ):
        fold(network("GPT"), torch.full((4, 6), 11.0))
