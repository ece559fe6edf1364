"""The documentation site builds without a warning, and has a page for each entry of its navigation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_site_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "reference/commands.html").read_text()
    assert "zeroskip simulate" in commands
    assert "SparseDot" in (tmp_path / "examples.html").read_text()
    # The lists of ports in docstrings are lists.
    assert re.search(r"<li><strong><code>broadcast</code></strong>", (tmp_path / "reference/rtl.html").read_text())
    # Nothing is fetched from elsewhere when a page is read.
    assert "fonts.googleapis" not in (tmp_path / "index.html").read_text()
