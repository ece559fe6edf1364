"""Checks of settings and arguments before any work. Imports nothing heavy."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, get_args

from zeroskip.model.field_types import require_types, resolved, typed_value

P = ParamSpec("P")
R = TypeVar("R")


def typed(function: Callable[P, R]) -> Callable[P, R]:
    """A function of the API that checks the types of its arguments by their annotations before it runs, and that its
    seed is not negative. Raises TypeError or ValueError naming the argument."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        for name, value in given.arguments.items():
            hint = resolved(signature.parameters[name].annotation, function.__module__)
            given.arguments[name] = typed_value(name, value, hint)
        if given.arguments.get("seed", 0) < 0:
            raise ValueError(f"seed must be at least 0, not {given.arguments['seed']}")
        return function(*given.args, **given.kwargs)

    return checked


def require_settings(settings: Any, **choices: Any) -> None:
    """Raises TypeError unless each field of `settings` has the annotated type, and ValueError unless each named one is
    one of the names of a Literal.

    Called as `require_settings(self, method=Method)` in `__post_init__`, where the frozen dataclass has all its fields.
    """
    require_types(settings)
    for name, literal in choices.items():
        known, value = get_args(literal), getattr(settings, name)
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def require_at_least(settings: Any, **lowest: int) -> None:
    """Raises ValueError unless each named field of `settings` is at least its lowest value, and finite; None is
    taken."""
    for name, least in lowest.items():
        value = getattr(settings, name)
        if value is not None and not least <= value < math.inf:
            finite = " and finite" if isinstance(value, float) else ""
            raise ValueError(f"{name} must be at least {least}{finite}, not {value}")


def require_positive(settings: Any, *names: str) -> None:
    """Raises ValueError unless each named field of `settings` is above 0 and finite; None is taken."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{name} must be above 0 and finite, not {value}")


def own_settings(given: Any, kind: type, core: str) -> Any:
    """The core's own settings of the type `kind`: those that are given, or the defaults where there are none.

    Raises ValueError if those of another core are given.
    """
    own = kind() if given is None else given
    if not isinstance(own, kind):
        raise ValueError(f"own must be {kind.__name__} for core {core}, not {type(own).__name__}")
    return own
