"""docs/search.md says what was measured."""

from __future__ import annotations

import search


def test_tables_are_those_of_the_measurements() -> None:
    text = search.PAGE.read_text()
    assert search.filled(text) == text
