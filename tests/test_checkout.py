"""What a checkout needs beside its files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "zeroskip"


def test_a_checkout_without_symbolic_links_says_so(tmp_path: Path) -> None:
    """As git leaves it on a Windows machine that may not make links: text files with the paths of the folders."""
    (tmp_path / "zeroskip").mkdir()
    shutil.copy(PACKAGE / "__init__.py", tmp_path / "zeroskip")
    (tmp_path / "zeroskip" / "model").write_text("../model")
    done = subprocess.run([sys.executable, "-c", "import zeroskip"], cwd=tmp_path, capture_output=True, text=True)
    assert "git clone -c core.symlinks=true" in done.stderr
