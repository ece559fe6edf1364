"""Every code block of the pages runs, page by page, in the order in which a reader meets the blocks.

A page's blocks share a folder and, for Python, one namespace. A block with a title is written to the file of that name.
A block that cannot run has a comment before it, `<!-- not run: why -->`. Pages that build on the tutorial say so with a
link and find its files in their folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from zeroskip.model.data.named import load_data
from zeroskip.model.loading import load_network
from zeroskip.model.pruning.training import evaluate

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.M | re.S)
SHOWN = ("", "text", "systemverilog", "c")
"""Languages of blocks that are not run: drawings, what a command prints, and lines of a user's own hardware and
software."""
FROM_TUTORIAL = "(../tutorial.md)"
"""The link of pages that build on the tutorial."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its file where it is one, and why it cannot run, where it cannot."""

    language: str
    title: str | None
    code: str
    why: str | None


def blocks(page: Path) -> list[Block]:
    found = []
    for match in FENCE.finditer(page.read_text()):
        language, *_ = match["info"].split() or [""]
        title = re.search(r'title="([^"]+)"', match["info"])
        found.append(Block(language, title[1] if title else None, match["code"], match["why"]))
    return found


def shell(code: str, folder: Path) -> None:
    """Runs the lines as a reader would, and ends at the first that fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    command = ["bash", "-euo", "pipefail", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"


def run(page: Path, folder: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    before = Path.cwd()
    os.chdir(folder)
    try:
        for block in blocks(page):
            if block.why is not None or block.language in SHOWN:
                continue
            if block.title is not None:
                Path(block.title).write_text(block.code)
            elif block.language == "python":
                exec(compile(block.code, f"{page}", "exec", dont_inherit=True), namespace)
            else:
                shell(block.code, folder)
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a reader of the tutorial ends."""
    folder = tmp_path_factory.mktemp("tutorial")
    run(ROOT / "docs/tutorial.md", folder)
    return folder


RUNNABLE = [page for page in PAGES if any(block.why is None and block.language not in SHOWN for block in blocks(page))]


# The tutorial runs as a fixture of each. The pages behind README take seven minutes of a core together.
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            id=str(page.relative_to(ROOT)),
            marks=[] if page in (ROOT / "README.md", ROOT / "docs/tutorial.md") else pytest.mark.slow,
        )
        for page in RUNNABLE
    ],
)
def test_code_blocks_run(page: Path, tutorial: Path, tmp_path: Path) -> None:
    if page.name == "tutorial.md":
        return
    if page.name == "README.md" or FROM_TUTORIAL in page.read_text():
        for file in tutorial.iterdir():
            if file.is_file():
                shutil.copy(file, tmp_path)
    run(page, tmp_path)


def test_the_tutorial_says_how_accurate_its_network_is(tutorial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tutorial)
    data = load_data("train.npz", 0)
    module, _ = load_network("mynet:Net", Path("dense.safetensors"))
    accuracy = evaluate(module, torch.from_numpy(data.test_inputs), torch.from_numpy(data.test_labels))
    said = re.search(r"prints the accuracy there, about (\d+) %", (ROOT / "docs/tutorial.md").read_text())
    assert said is not None
    # Another processor may round the sums of the training differently.
    assert 100 * accuracy == pytest.approx(float(said[1]), abs=1)


def test_every_block_has_a_language_that_is_known() -> None:
    known = {*SHOWN, "python", "sh"}
    assert {block.language for page in PAGES for block in blocks(page)} <= known
