"""Warnings of a call, kept in its result. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from zeroskip.model.warned import heard

Given = ParamSpec("Given")
Result = TypeVar("Result", bound=Any)


def keeps_warnings(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function that returns a dataclass; its field `warnings` becomes the texts of what was warned of meanwhile."""

    @functools.wraps(function)
    def run(*given: Given.args, **named: Given.kwargs) -> Result:
        with heard() as told:
            result = function(*given, **named)
        return dataclasses.replace(result, warnings=tuple(told))

    return run
