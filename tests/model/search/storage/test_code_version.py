"""What the hash of the measuring code depends on, and what it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from zeroskip.model.sources import PACKAGE

SCRIPT = """
import sys
from pathlib import Path
from zeroskip.model.cores import CORES
from zeroskip.model.search.costs.cache import cost_code
from zeroskip.model.search.storage.code_version import code_hash
from zeroskip.model.sources import PACKAGE

costs = [cost for core in CORES.values() for cost in core.costs]

def hashes():
    return {"journal": code_hash.__wrapped__(), **{cost: cost_code(cost) for cost in costs}}

before = hashes()
for name in sys.argv[1:]:
    path = PACKAGE / name
    text = path.read_text()
    path.write_text(text + "# another comment\\n")
    print(name, *(key for key, value in hashes().items() if value != before[key]))
    path.write_text(text)
"""
"""Edits one file after the other, and prints which hashes that changes."""

CHANGES = {
    "model/pruning/training.py": {"journal"},
    "model/search/spaces/channels.py": {"journal"},
    "model/search/methods/amc.py": {"journal"},
    "model/search/costs/exact.py": {"journal"},
    "model/search/costs/table.py": {"journal", "eie-cycles", "mma-cycles"},
    "model/eie/cycles.py": {"eie-cycles"},
    "model/mma/cycles.py": {"mma-cycles"},
    "model/search/views/pictures.py": set(),
    "model/search/views/detail_files.py": set(),
    "model/cores.py": set(),
    "model/progress.py": set(),
    "model/search/progress.py": set(),
    "model/search/choices.py": set(),
    "model/loading.py": set(),
    "model/networks/lenet.py": set(),
    "model/user_code/__init__.py": set(),
    "api/search.py": set(),
    "commands/search.py": set(),
    "commands/options.py": set(),
    "__init__.py": set(),
}
"""The hashes that change when a file does."""


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "zeroskip", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *CHANGES],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    return {name: set(keys) for name, *keys in rows}


@pytest.mark.parametrize("name", CHANGES)
def test_a_hash_changes_with_the_code_that_it_stands_for(name: str, changed: dict[str, set[str]]) -> None:
    assert changed[name] == CHANGES[name]
