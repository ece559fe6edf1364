"""Layers equal spconv's, where it is installed: it runs by itself with one thread, because with more it is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


def test_layers_equal_those_of_spconv() -> None:
    pytest.importorskip("spconv", reason="optional: pip install spconv")
    paths = os.pathsep.join(str(path) for path in (TESTS, *sys.path) if str(path))
    run = subprocess.run(
        [sys.executable, "-m", "support.spconv_peer"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "40 scenes are equal"
