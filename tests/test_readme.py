"""The README says what was measured."""

import readme


def test_tables_are_those_of_the_measurements() -> None:
    text = (readme.ROOT / "README.md").read_text()
    assert readme.filled(text) == text
