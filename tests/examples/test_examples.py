"""The scripts of examples/ run to their end in a folder of their own. They check their results themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTED = {
    "centerpoint_backbone.py": "became a map (2, 256, 12, 12)",
    "component_in_your_design.py": "written: sparse_dot.v",
    "minkunet.py": "accuracy on scenes that it has not seen",
    "own_cnn_on_eie.py": "RTL against golden model",
    "search_in_cycles.py": "of the dense network's",
    "two_four_on_the_tile.py": "every bit equals the golden model",
}
"""What each script says when all of its checks have passed."""
ARGUMENTS = {"minkunet.py": ["--scenes", "4", "--epochs", "2", "--extent", "24", "--width", "4"]}
"""For scripts that take minutes otherwise."""


def test_every_script_is_listed() -> None:
    assert sorted(PRINTED) == sorted(script.name for script in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("script", PRINTED)
def test_script_runs(script: str, tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLES / script, *ARGUMENTS.get(script, [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert PRINTED[script] in done.stdout


@pytest.mark.parametrize("script", PRINTED)
def test_script_says_what_it_is_for(script: str) -> None:
    """In one sentence on the first line, with a blank line after it."""
    first, second, *_ = (EXAMPLES / script).read_text().split("\n")
    assert re.fullmatch(r'"""\S.*\w\.', first)
    assert second == ""
