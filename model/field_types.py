"""Checks of the types of settings and arguments, by their annotations. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import numbers
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin


def require_types(settings: Any) -> None:
    """Raises TypeError naming a field of a dataclass whose value is not of the annotated type; called in
    `__post_init__`. Numbers of NumPy become those of Python."""
    for field in dataclasses.fields(settings):
        hint = resolved(field.type, type(settings).__module__)
        value = typed_value(field.name, getattr(settings, field.name), hint)
        object.__setattr__(settings, field.name, value)


def typed_value(name: str, value: Any, hint: Any) -> Any:
    """The value, a number of NumPy as one of Python. Raises TypeError naming the field unless it is of the type `hint`;
    types that are not known here (None) fit all. Names of a Literal are checked where they are used."""
    if not _fits(value, hint):
        raise TypeError(f"{name} must be {_rule(hint)}, not {value!r}")
    kinds = _kinds(hint)
    if float in kinds and isinstance(value, numbers.Real) and not isinstance(value, bool) and int not in kinds:
        return float(value)
    if int in kinds and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    return value


def resolved(annotation: Any, module: str) -> Any:
    """What an annotation stands for in its module; None where names are only known to type checkers."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, vars(sys.modules[module]))
    except NameError:
        return None


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    return any(_fits_one(value, kind) for kind in _kinds(hint))


def _fits_one(value: Any, kind: Any) -> bool:
    if kind is None or kind is NoneType:
        return value is None or kind is None
    if kind is bool:
        return isinstance(value, bool)
    if kind in (int, float):
        number = numbers.Integral if kind is int else numbers.Real
        return isinstance(value, number) and not isinstance(value, bool)
    if kind is Path:
        return isinstance(value, os.PathLike)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(one, inner[1]) for key, one in value.items()
        )
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, inner[0]) for one in value)
    if kind is Any or isinstance(kind, ForwardRef | str) or origin is not None:
        return True
    return isinstance(value, kind)


_RULES = {bool: "True or False", int: "an integer", float: "a number", str: "text", Path: "a path", NoneType: "None"}


def _rule(hint: Any) -> str:
    return " or ".join(_rule_of_one(kind) for kind in _kinds(hint))


def _rule_of_one(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _RULES:
        return _RULES[kind]
    if origin is Mapping:
        return f"a mapping of {_rule(inner[0])} to {_rule(inner[1])}"
    if origin is tuple:
        return f"a tuple of {_rule(inner[0])}"
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    return f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"
