"""Checks of settings that are one of a few names. Imports nothing heavy."""

from __future__ import annotations

from typing import Any, get_args


def require_choices(settings: object, **choices: Any) -> None:
    """Raises ValueError unless each named field of `settings` is one of the names of a Literal.

    Called as `require_choices(self, method=Method)` in `__post_init__`, where the frozen dataclass has all its fields.
    """
    for name, literal in choices.items():
        known, value = get_args(literal), getattr(settings, name)
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def own_settings(given: Any, kind: type, core: str) -> Any:
    """The core's own settings of the type `kind`: those that are given, or the defaults where there are none.

    Raises ValueError if those of another core are given.
    """
    own = kind() if given is None else given
    if not isinstance(own, kind):
        raise ValueError(f"own must be {kind.__name__} for core {core}, not {type(own).__name__}")
    return own
