"""Calls of torch's functions with proxies, before torch itself looks at what they are given."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType
from typing import Any

import torch
from torch import fx


@contextmanager
def proxies_first() -> Iterator[None]:
    """Within it, a call such as `torch.where(mask, x, 0.0)` with a proxy goes to fx at once.

    Torch would look for a signature that fits first. As proxies are tensors to isinstance(), it reads them as tensors
    where a signature takes a number, which ends Python by a segmentation fault.
    """
    before = {name: one for name, one in vars(torch).items() if isinstance(one, BuiltinFunctionType)}
    try:
        vars(torch).update({name: _proxies_first(one) for name, one in before.items()})
        yield
    finally:
        vars(torch).update(before)


def _proxies_first(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for one in (*args, *kwargs.values()):
            if isinstance(one, fx.Proxy):
                return fx.Proxy.__torch_function__(function, (), args, kwargs)
        return function(*args, **kwargs)

    return call
