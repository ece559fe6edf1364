"""The command reference in Markdown, made from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from zeroskip.cli import make_app

HEAD = """# Command reference

All commands of `zeroskip`, made from the help texts of the commands themselves. `zeroskip COMMAND --help` prints the
same in a terminal.

"""


def page() -> str:
    """The whole page, one section for each command that does something."""
    command = typer.main.get_command(make_app())
    return HEAD + "\n\n".join(_section(name, found) for name, found in _leaves("zeroskip", command)) + "\n"


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands below this one that are no groups, by their full names."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
    else:
        for child, found in children.items():
            yield from _leaves(f"{name} {child}", found)


def _section(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([name, *(one.metavar or one.name for one in arguments), "[OPTIONS]"])
    parts = [f"## {name}", _text(command.help), f"```text\n{usage}\n```"]
    if arguments:
        parts.append(_table("argument", arguments, context))
    for panel in dict.fromkeys(one.rich_help_panel or "Options" for one in options):
        found = [one for one in options if (one.rich_help_panel or "Options") == panel]
        parts += [f"### {panel} {{: #{_anchor(name, panel)} }}", _table("option", found, context)]
    return "\n\n".join(parts)


def _anchor(name: str, panel: str) -> str:
    """Panels of several commands have the same title."""
    return re.sub(r"[^a-z0-9]+", "-", f"{name} {panel}".lower())


def _table(what: str, parameters: list[Any], context: typer.Context) -> str:
    records = [one.get_help_record(context) for one in parameters]
    lines = [f"| {what} | meaning |", "|---|---|"]
    lines += [f"| {_names(names)} | {_cell(text)} |" for names, text in records]
    return "\n".join(lines)


def _names(record: str) -> str:
    """`--core <eie|mma>` as code, each choice by itself, because a cell ends at a bar."""
    names, _, values = record.partition(" <")
    shown = re.sub(r"[\w:-]+", lambda match: f"`{match[0]}`", names.replace("|", " or "))
    shown = shown.replace("`or`", "or")
    if not values or values == "bool>":
        return shown
    return f"{shown} {', '.join(f'`{one}`' for one in values.removesuffix('>').removesuffix(' range').split('|'))}"


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "")


def _cell(text: str) -> str:
    """Text that cannot end a cell of a table, nor be taken for HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
