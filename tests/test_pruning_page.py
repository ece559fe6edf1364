"""docs/pruning.md says what was measured, by the commands that it shows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import zeroskip

ROOT = Path(__file__).parent.parent


@pytest.fixture
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pruning_page", ROOT / "docs/pruning.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_is_that_of_the_measurements(page: ModuleType) -> None:
    text = page.PAGE.read_text()
    assert page.filled(text) == text


def test_commands_are_understood(
    page: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to the data, which this test does without."""
    commands = page.commands(page.PAGE.read_text())
    assert len(commands) == 6
    for command in commands:
        arguments = command.split()
        arguments[arguments.index("--data") + 1] = "nothing.npz"
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit):
            zeroskip.main()
        assert "nothing.npz does not exist" in capsys.readouterr().err
