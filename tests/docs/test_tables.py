"""The tables of the pages are those of the measurements in docs/measured and docs/sweeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "script",
    [
        "readme.py",
        "eie.py",
        "sparsity.py",
        "tile.py",
        "networks.py",
        "search.py",
        "pruning.py",
        "sweeps.py",
        "bench_sparseconv.py",
        "fpga.py",
        "fpga_blocks.py",
        "cells.py",
        "bus.py",
        "waves.py",
    ],
)
def test_tables_are_those_of_the_measurements(script: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/scripts" / script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
