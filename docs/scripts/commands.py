"""The command reference in Markdown, made from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from zeroskip.cli import app

HEAD = """# Command reference

All commands of `zeroskip`, made from the help texts of the commands themselves. `zeroskip COMMAND --help` prints the
same in a terminal.

"""


def page() -> str:
    """The whole page, one section for each command that does something."""
    command = typer.main.get_command(app)
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
    parts = [f"## {name}", _text(command.help)]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join([name, *(one.human_readable_name for one in arguments), "[OPTIONS]"])
    parts += [f"```text\n{usage}\n```"]
    if arguments:
        parts += [_table("argument", [(f"`{one.human_readable_name}`", one) for one in arguments])]
    panels: dict[str, list[tuple[str, Any]]] = {}
    for option in command.params:
        if option.param_type_name == "option" and not option.hidden:
            panel = getattr(option, "rich_help_panel", None) or "Options"
            panels.setdefault(panel, []).append((_flags(option), option))
    for panel, options in panels.items():
        parts += [f"### {panel} {{: #{_anchor(name, panel)} }}", _table("option", options)]
    return "\n\n".join(parts)


def _anchor(name: str, panel: str) -> str:
    return "-".join(f"{name} {panel}".lower().replace(":", "-").split())


def _flags(option: Any) -> str:
    values = "" if option.is_flag else f" {_kind(option)}"
    flags = ", ".join(f"`{flag}`" for flag in [*option.opts, *option.secondary_opts])
    return f"{flags}{values}"


def _kind(option: Any) -> str:
    choices = getattr(option.type, "choices", None)
    if choices:
        return ", ".join(f"`{getattr(choice, 'value', choice)}`" for choice in choices)
    return option.metavar or option.type.name.split()[0]


def _table(what: str, rows: list[tuple[str, Any]]) -> str:
    lines = [f"| {what} | meaning | default |", "|---|---|---|"]
    lines += [f"| {_cell(shown)} | {_cell(_text(one.help))} | {_default(one)} |" for shown, one in rows]
    return "\n".join(lines)


def _default(one: Any) -> str:
    if one.required:
        return "required"
    value = getattr(one.default, "value", one.default)
    if value is None or callable(value) or (one.is_flag and value is False) or "UNSET" in repr(value).upper():
        return ""
    return f"`{value if not isinstance(value, bool) else one.opts[0] if value else one.secondary_opts[0]}`"


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\f", "")


def _cell(text: str) -> str:
    """Text that cannot end a cell of a table, nor be taken for HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
