"""The commands that the pages show and no test runs are understood, up to the first file that is missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
NOT_RUN = re.compile(r"<!-- not run: [^\n]+ -->\n```sh[^\n]*\n(?P<code>.*?)^```$", re.M | re.S)


def commands(page: Path) -> list[str]:
    """Each on one line."""
    code = "".join(NOT_RUN.findall(page.read_text())).replace("\\\n", " ")
    return [" ".join(line.split()) for line in code.splitlines() if line.startswith("zeroskip ")]


SHOWN = [(page.relative_to(ROOT).as_posix(), command) for page in PAGES for command in commands(page)]


def test_there_are_some() -> None:
    assert sum(page == "docs/measurements/pruning.md" for page, _ in SHOWN) == 6


@pytest.mark.parametrize(("page", "command"), SHOWN)
def test_a_command_is_understood(zs: Command, page: str, command: str) -> None:
    """Options, settings and networks are all checked before data are read, which are not there."""
    arguments = shlex.split(command)[1:]
    if "--data" in arguments:
        arguments[arguments.index("--data") + 1] = "nothing.npz"
    if "--device" in arguments:
        # Not every machine has a GPU.
        arguments[arguments.index("--device") + 1] = "cpu"
    if arguments[:2] == ["fpga", "blocks"]:
        # It needs no file, so a block that is not there stops it.
        code, _, err = zs(*arguments, "no.block")
        assert code == 1
        assert err.startswith("error: blocks must be among ")
        return
    code, _, err = zs(*arguments)
    assert code == 1, err
    missing = r"(nothing\.npz|\.safetensors|\.zs|\.bit|\.bin|\.fs|\.lib)"
    assert re.match(rf"error: \S*{missing}\S*[ :].*(not exist|no such file|No such file)", err), err
