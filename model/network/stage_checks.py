"""The checks of fields that stages of every kind have."""

from __future__ import annotations

from zeroskip.model.network.samples import MOST_VALUES

BEFORE = (1,)
"""`back` of a stage that reads the result of the stage right before it."""


def check_back(back: object, count: int) -> None:
    integers = isinstance(back, tuple) and all(type(place) is int and place >= 1 for place in back)
    if not integers or len(back) != count:  # type: ignore[arg-type]
        raise ValueError(f"back must be {count} integers of at least 1, not {back!r}")


def check_values(count: object) -> None:
    if type(count) is not int or not 1 <= count <= MOST_VALUES:
        raise ValueError(f"values must be an integer from 1 to {MOST_VALUES:,}, not {count!r}")
