"""docs/search.md says what was measured."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_tables_are_those_of_the_measurements() -> None:
    spec = importlib.util.spec_from_file_location("search_page", ROOT / "docs/search.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    text = page.PAGE.read_text()
    assert page.filled(text) == text
