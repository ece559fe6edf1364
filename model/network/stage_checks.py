"""The checks of fields that stages of every kind have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

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


def check_array(name: str, array: Any, dtype: DTypeLike, shape: tuple[int | None, ...]) -> None:
    """Raises ValueError unless a field is a finite array of this type and shape, None being any length."""
    fits = isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == len(shape)
    if not fits or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
        given = f"{array.dtype} of {array.shape}" if isinstance(array, np.ndarray) else repr(array)
        rule = " x ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must be {np.dtype(dtype)} of {rule}, not {given}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers")
