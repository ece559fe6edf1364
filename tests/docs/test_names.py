"""Modules, commands and options that the pages name exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import typer

from zeroskip.cli import make_app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def resolve(name: str) -> object:
    """What a dotted name stands for. Raises AttributeError or ModuleNotFoundError where there is nothing."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_dotted_names_exist(page: Path) -> None:
    for name in sorted(set(re.findall(r"\bzeroskip(?:\.[A-Za-z_]\w*)+", page.read_text()))):
        if "<" not in name and not name.endswith((".py", ".networks")):
            resolve(name)


def options(command: object) -> set[str]:
    """All options of a command and of those below it."""
    found = {flag for one in command.params for flag in [*one.opts, *one.secondary_opts]}  # type: ignore[attr-defined]
    return found.union(*(options(child) for child in getattr(command, "commands", {}).values()))


OTHERS = {"--measure", "--include", "--source", "--cores-root", "--target", "--command-file"}
"""Options of other programs that the pages name: the script of a page, grep, coverage, FuseSoC,
Surfer."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_exist(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]|(?<![\w-])--[mn]\b", page.read_text()))
    assert named - options(typer.main.get_command(make_app())) - OTHERS - {"--help"} == set()
