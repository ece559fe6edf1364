"""What is printed: names as they are, whatever they look like."""

from __future__ import annotations

import json
import re

import pytest
from rich.console import Console

from zeroskip.api.tables import Table
from zeroskip.commands import console
from zeroskip.model.progress import Step

NAMES = ["plain:M", "a[b]:c", ":smile:", "[red]x[/red]"]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_prints_names_as_they_are(capsys: pytest.CaptureFixture[str], name: str) -> None:
    console.show({}, [(name, f"value of {name}")], title=f"title {name}", as_json=False)
    out = capsys.readouterr().out
    assert f"title {name}" in out
    assert f" {name} " in out
    assert f"value of {name}" in out


def test_a_narrow_table_cuts_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_output", Console(markup=False, emoji=False, width=40))
    digest = "0123456789abcdef" * 4
    console.show({}, [("SHA-256 of a bitstream", digest)], title="t", as_json=False)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) == 40
    assert "…" not in out
    held = "".join(re.findall(r"[0-9a-f]{3,}(?=\W*$)", out, re.MULTILINE))
    assert held == digest


@pytest.mark.parametrize("name", NAMES)
def test_a_table_with_heads_does_too(capsys: pytest.CaptureFixture[str], name: str) -> None:
    table = Table(title=f"title {name}", heads=("head", f"of {name}"), rows=[(name, "1")])
    console.show_tables({}, [table], [f"note {name}"], as_json=False)
    out = capsys.readouterr().out
    assert f"title {name}" in out
    assert f"of {name}" in out
    assert f" {name} " in out
    assert f"note {name}" in out


@pytest.mark.parametrize("name", NAMES)
def test_errors_do_too(capsys: pytest.CaptureFixture[str], name: str) -> None:
    console.tell(f"error: {name}", "red")
    assert capsys.readouterr().err == f"error: {name}\n"


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    console.show({"a": 1}, [("a", "1")], title="title", as_json=True)
    console.show_tables({"b": 2}, [], ["note"], as_json=True)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"a": 1}, {"b": 2}]


def test_a_log_gets_lines_of_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard error is no terminal: none in a short run, then a line with the task and its count."""
    with console.working() as progress:
        progress(Step(task="training", done=1, total=5, unit="epochs"))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(console, "LOG_SECONDS", 0.0)
    with console.working() as progress:
        progress(Step(task="int8 on the RTL"))
        progress(Step(task="training", done=2, total=5, unit="epochs", facts={"loss": "0.1"}))
    assert capsys.readouterr().err == "int8 on the RTL\ntraining: 2 of 5 epochs, loss 0.1\n"
