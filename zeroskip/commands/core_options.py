"""Options of the cores in commands that are for all cores.

A core's room, `zeroskip.commands.<core>.options`, has a dataclass for each such command: the fields are its options,
with typer's annotations. `with_core_options` adds the options of all cores to a command; each core has its own heading
in the help. Imports nothing heavy.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from zeroskip.commands.options import was_given
from zeroskip.model.cores import CORES, UNITS

KNOWN = {**CORES, **UNITS}


class CoreOptions:
    """The options of each core, and which of them the user gave."""

    def __init__(self, values: dict[str, Any], given: dict[str, list[str]]) -> None:
        self._values, self._given = values, given

    def of(self, core: str) -> Any:
        """The core's dataclass of options, or None if the core has none for this command."""
        return self._values.get(core)

    def given(self, core: str) -> list[str]:
        """The options of a core that the user gave, as they are written."""
        return self._given.get(core, [])

    def require_for(self, core: str | None, chosen: str) -> None:
        """Raises ValueError if an option of another core than `core` was given, because it would have no effect.
        None means no core."""
        for other, given in self._given.items():
            if given and other != core:
                raise ValueError(f"{given[0]} is an option of the {KNOWN[other].title}, which {chosen} does not use")


def with_core_options(kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the options of all cores, the dataclasses named `kind`, to a command, which takes them as its argument
    `cores`, a CoreOptions."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        kinds = {core: found for core in KNOWN if (found := _kind(core, kind)) is not None}
        signature = inspect.signature(command, eval_str=True)
        own = [parameter for name, parameter in signature.parameters.items() if name not in ("cores", "context")]
        added = {core: _parameters(found, KNOWN[core].title) for core, found in kinds.items()}

        @functools.wraps(command)
        def run(context: typer.Context, **arguments: Any) -> None:
            values, given = {}, {}
            for core, parameters in added.items():
                names = [parameter.name for parameter in parameters]
                values[core] = kinds[core](**{name: arguments.pop(name) for name in names})
                given[core] = [_flag(context, name) for name in names if was_given(context, name)]
            if "context" in signature.parameters:
                arguments["context"] = context
            command(**arguments, cores=CoreOptions(values, given))

        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        every = [context, *keywords, *(parameter for parameters in added.values() for parameter in parameters)]
        run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
        return run

    return decorate


def _flag(context: typer.Context, name: str) -> str:
    """The option as the user writes it."""
    return next(parameter.opts[0] for parameter in context.command.params if parameter.name == name)


def _kind(core: str, kind: str) -> Any:
    return getattr(importlib.import_module(f"zeroskip.commands.{core}.options"), kind, None)


def _parameters(kind: Any, panel: str) -> list[inspect.Parameter]:
    """The fields of a dataclass of options as parameters of a command, under the heading `panel`."""
    hints = get_type_hints(kind, include_extras=True)
    parameters = []
    for field in dataclasses.fields(kind):
        inner, option = get_args(hints[field.name])
        assert isinstance(option, OptionInfo)
        shown = _under(option, panel)
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=Annotated[inner, shown],
            )
        )
    return parameters


def _under(option: OptionInfo, panel: str) -> OptionInfo:
    shown = copy.copy(option)
    shown.rich_help_panel = panel
    return shown
