"""Tables of measurements in the pages: between two marks, so that no figure is typed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
DEMOS = {
    "digits": "digits, 64-300-100-10",
    "fashion-mnist": "Fashion-MNIST, LeNet-300-100",
    "lenet-5": "Fashion-MNIST, LeNet-5",
}
"""Files of `zeroskip demo`, and the data set and network that each shows."""


def measured(name: str) -> dict[str, Any]:
    """The JSON that a command gave, from docs/measured."""
    result: dict[str, Any] = json.loads((DOCS / f"measured/{name}.json").read_text())
    return result


def markdown(rows: list[list[str]]) -> str:
    """A table with the first row as its head; all columns but the first are aligned to the right."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" + "|---:" * (len(rows[0]) - 1) + "|", *lines[1:]])


def fill(page: str, mark: str, text: str) -> str:
    """The page with `text` between the mark of this name and the end that follows it."""
    marks = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", re.S)
    assert marks.search(page), f"the page has no marks '{mark}'"
    return marks.sub(lambda match: f"{match[1]}{text.rstrip()}\n{match[2]}", page)


def update(page: Path, filled: Callable[[str], str]) -> None:
    """Writes the page with its tables filled anew; with `--check` only exits with 1 where that would change it."""
    before = page.read_text()
    after = filled(before)
    if "--check" not in sys.argv[1:]:
        page.write_text(after)
    elif after != before:
        sys.exit(f"{page}: its tables are not those of docs/measured; run the script without --check")
