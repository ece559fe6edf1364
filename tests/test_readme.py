"""The README says what was measured."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_tables_are_those_of_the_measurements() -> None:
    spec = importlib.util.spec_from_file_location("readme", ROOT / "docs/readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "README.md").read_text()
    assert module.filled(text) == text
