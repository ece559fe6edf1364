"""Plants a mutant of a function in a process that has imported everything: the code of the function is exchanged."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any


class CannotPlant(Exception):
    """The function is compiled, wrapped, or bound otherwise: the file must be imported anew."""


def planting(module_name: str, file: str, source: str, function: str) -> Callable[[], None]:
    """What gives the `function` ("Class.method", or an inner function with the names of those around it) of a module
    the code that it has in `source`. Raises CannotPlant."""
    module = importlib.import_module(module_name)
    codes = {code.co_qualname: code for code in _codes(compile(source, file, "exec"))}
    value: Any = module
    names = function.split(".")
    for index, name in enumerate(names):
        value = vars(value).get(name)
        if isinstance(value, type):
            continue
        found = _function(value)
        code = codes.get(".".join(names[: index + 1]))
        if found is None or code is None or code.co_freevars != found.__code__.co_freevars:
            raise CannotPlant(function)
        return functools.partial(setattr, found, "__code__", code)
    raise CannotPlant(function)


def _function(value: Any) -> FunctionType | None:
    if isinstance(value, property) and value.fset is None:
        value = value.fget
    elif isinstance(value, staticmethod | classmethod):
        value = value.__func__
    elif isinstance(value, functools.cached_property):
        value = value.func
    while isinstance(value, FunctionType) or hasattr(value, "__wrapped__"):
        if hasattr(value, "py_func"):
            # Compiled: its code is not what runs.
            return None
        inner = getattr(value, "__wrapped__", None)
        if inner is None:
            return value if isinstance(value, FunctionType) else None
        value = inner
    return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes(inner)
