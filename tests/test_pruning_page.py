"""docs/pruning.md says what was measured, by the commands that it shows."""

from __future__ import annotations

import sys

import pruning
import pytest

import zeroskip


def test_table_is_that_of_the_measurements() -> None:
    text = pruning.PAGE.read_text()
    assert pruning.filled(text) == text


def test_commands_are_understood(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to the data, which this test does without."""
    commands = pruning.commands(pruning.PAGE.read_text())
    assert len(commands) == 6
    for command in commands:
        arguments = command.split()
        arguments[arguments.index("--data") + 1] = "nothing.npz"
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit):
            zeroskip.main()
        assert "nothing.npz does not exist" in capsys.readouterr().err
