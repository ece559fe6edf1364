"""Layers and functions that are traced as others, and products with tensors of the network: what comes of them computes
what torch computes, and what cannot be read is named."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from support.equivalent_networks import FAR_BELOW, NETWORKS, Parts, network, sequences
from torch import Tensor
from torch.nn import functional as F

from zeroskip.model.network.fold import fold


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_what_torch_computes(name: str) -> None:
    module, inputs = network(name), sequences()
    wanted = module(inputs).reshape(len(inputs), -1).double()
    folded = fold(module, inputs).double()
    assert (folded(inputs.double().flatten(1)) - wanted).abs().max() <= 1e-5 * wanted.abs().max()


REFUSED: dict[str, tuple[Callable[[Parts, Tensor], Tensor], str]] = {
    "noise": (lambda m, x: m.head(torch.cat((torch.randn(len(x), 1, 4), x), 1)), "differs from sample to sample"),
    "too many places": (
        lambda m, x: m.head(m.first(x)[:, [0, 2, 5, 1, 3] * 16]),
        "operation 'getitem' takes values in no regular order",
    ),
    "padding of attention": (
        lambda m, x: m.head(m.attention(x, m.first(x), x, key_padding_mask=torch.zeros(len(x), 6) > 0)[0]),
        "layer 'attention' is an attention with key_padding_mask, or one of",
    ),
    "convolution of windows": (
        lambda m, x: m.head(F.conv1d(m.first(x).reshape(-1, 2, 4), m.kernel.reshape(4, 2, 3)).reshape(len(x), -1, 4)),
        "operation 'conv1d' is conv1d of values of shape (9, 2, 4), several for each sample; supported there: Linear",
    ),
    "mean of windows": (
        lambda m, x: m.head(m.first(x).reshape(-1, 3, 4).mean(1).reshape(len(x), 2, 4)),
        "operation 'mean' is mean of values of shape (6, 3, 4), several for each sample",
    ),
    "samples that are not first": (
        lambda m, x: m.head(x).view(-1, 3),
        "the network gives values of shape (18, 3) for 3 samples; it must give samples in the first dimension",
    ),
    "attention with zeros": (
        lambda m, x: m.head(m.with_zeros(m.first(x), x, x)[0]),
        "layer 'with_zeros' is an attention with key_padding_mask, or one of",
    ),
    "a power of a value": (lambda m, x: m.head(m.first(x) ** x), "is pow, which joins"),
    "a power": (lambda m, x: m.head(m.first(x) ** 5), "is pow; supported: "),
    "a limit of the norm": (lambda m, x: m.head(F.normalize(m.first(x), eps=1e-2)), "is normalize; supported: "),
    "another norm": (lambda m, x: m.head(F.normalize(x, p=1.0)), "is normalize; supported: "),
    "root of other squares": (
        lambda m, x: m.head(x * torch.rsqrt(m.first(x).pow(2).mean(-1, keepdim=True))),
        "operation 'rsqrt' is rsqrt; supported: ",
    ),
    "deviation without the difference": (
        lambda m, x: m.head(m.first(x) / m.first(x).std(-1, keepdim=True)),
        "operation 'std' is std; supported: ",
    ),
    "difference from another mean": (
        lambda m, x: m.head((m.first(x) - x.mean(-1, keepdim=True)) / m.first(x).std(-1, keepdim=True)),
        "operation 'std' is std; supported: ",
    ),
    "difference from the mean of another dimension": (
        lambda m, x: m.head((m.first(x) - m.first(x).mean(1, keepdim=True)) / m.first(x).std(-1, keepdim=True)),
        "operation 'std' is std; supported: ",
    ),
    "a large number beside a root": (
        lambda m, x: m.head(x / (x.norm(p=2, dim=-1, keepdim=True) + 1e-2)),
        "operation 'norm' is norm; supported: ",
    ),
    "a sum of magnitudes": (
        lambda m, x: m.head(x / x.norm(p=1, dim=-1, keepdim=True)),
        "operation 'norm' is norm; supported: ",
    ),
    "squares over the samples": (
        lambda m, x: m.head(x * torch.rsqrt(x.pow(2).mean(0, keepdim=True) + 1e-2)),
        "operation 'mean' is a mean over 0; supported: ",
    ),
    "a row far below": (
        lambda m, x: m.head(F.scaled_dot_product_attention(x, x, m.first(x), torch.full((6, 6), -1e9).triu())),
        "adds numbers to its scores that are neither 0 nor -inf or below -10,000",
    ),
    "numbers below in attention": (
        lambda m, x: m.head(F.scaled_dot_product_attention(x, x, m.first(x), FAR_BELOW / 1e8)),
        "adds numbers to its scores that are neither 0 nor -inf or below -10,000",
    ),
    "einsum with a matrix": (
        lambda m, x: m.head(torch.einsum("bij,jk->bik", x, m.matrix)),
        "operation 'einsum' is einsum with the tensor 'matrix'; only weights of layers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(name: str) -> None:
    forward, message = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        fold(Parts(forward).eval(), sequences())
