"""The help of the commands, and `import zeroskip`, are quick: they import none of the heavy packages."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zeroskip.cli import COMMANDS, GROUPS

HEAVY = ("torch", "numpy", "numba", "amaranth", "cocotb", "cocotb_tools", "matplotlib", "scipy", "sklearn", "ray")

CODE = f"""
import sys
from zeroskip.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = [name for name in {HEAVY} if name in sys.modules]
assert not heavy, heavy
"""

EVERY = [
    [],
    *([name] for name in (*COMMANDS, *GROUPS)),
    *([name, command] for name, (_, commands) in GROUPS.items() for command in commands),
]


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, *command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout


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
