"""The help of the commands, and `import zeroskip`, are quick: they import none of the heavy packages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from rich.text import Text
from typer.main import get_command_from_info

import zeroskip
from zeroskip.cli import COMMANDS, GROUPS, make_app

HEAVY = ("torch", "numpy", "numba", "amaranth", "cocotb", "cocotb_tools", "matplotlib", "scipy", "sklearn", "ray")

CODE = f"""
import contextlib, io, sys
from zeroskip.cli import main
for command in sys.argv[1:]:
    sys.argv = ["zeroskip", *command.split()]
    shown = io.StringIO()
    try:
        with contextlib.redirect_stdout(shown):
            main()
    except SystemExit as end:
        assert not end.code, (command, end.code)
    assert "Usage: " in shown.getvalue() or command == "--version", command
    heavy = [name for name in {HEAVY} if name in sys.modules]
    assert not heavy, (command, heavy)
    print(shown.getvalue(), end="")
"""

EVERY = [
    "",
    *COMMANDS,
    *GROUPS,
    *(f"{name} {command}" for name, (_, commands) in GROUPS.items() for command in commands),
]


def test_help_imports_nothing_heavy() -> None:
    """That of all commands, one after the other in one process, which would keep what one of them imports."""
    helps = [f"{command} --help" for command in EVERY]
    done = subprocess.run([sys.executable, "-c", CODE, *helps], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: ") == len(EVERY)


def test_versions() -> None:
    """Of zeroskip and of what its results depend on, and nothing heavy is imported for it."""
    done = subprocess.run([sys.executable, "-c", CODE, "--version"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    versions = dict(line.split() for line in done.stdout.splitlines())
    assert list(versions) == ["zeroskip", "torch", "amaranth", "cocotb", "verilator", "Python"]
    assert versions["torch"] == torch.__version__
    assert versions["Python"] == sys.version.split()[0]


def options() -> list[tuple[str, str]]:
    """The help texts of all commands and of their options, as (where, text)."""
    app = make_app()
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    texts = []
    for command in (command for group in groups if group is not None for command in group.registered_commands):
        shown = get_command_from_info(command, pretty_exceptions_short=False, rich_markup_mode=None)
        texts.append((str(command.name), shown.help or ""))
        texts += [(f"{command.name} {one.name}", getattr(one, "help", None) or "") for one in shown.params]
    return texts


def test_help_prints_as_it_is_written() -> None:
    """The help is rich markup: a text in brackets would vanish, and `:M:` may be an emoji."""
    texts = options()
    assert len(texts) > 100
    assert [where for where, text in texts if "[" in text or text != Text.from_markup(text).plain] == []


def test_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, zeroskip; dir(zeroskip); print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_package_exports_what_it_lists() -> None:
    import zeroskip

    for name in zeroskip.__all__:
        assert getattr(zeroskip, name).__name__ == name
    assert set(zeroskip.__all__) <= set(dir(zeroskip))


def test_an_unknown_name_is_an_attribute_error() -> None:
    import zeroskip

    with pytest.raises(AttributeError, match="module 'zeroskip' has no attribute 'trian'"):
        _ = zeroskip.trian


def test_the_help_says_how_many_unlabelled_samples_run(zs: Callable[..., tuple[int, str, str]]) -> None:
    """As many as it says do run."""
    code, out, _ = zs("compile", "--help")
    assert code == 0
    found = re.search(r"without\s+labels\s+at\s+most\s+(\d+)", re.sub(r"[│\s]+", " ", out))
    assert found is not None
    inputs = np.zeros((400, 30), np.float32) + np.arange(30, dtype=np.float32)
    compiled = zeroskip.compile(torch.nn.Linear(30, 2), (inputs, None))
    assert compiled.golden_images == int(found.group(1)) == 256
