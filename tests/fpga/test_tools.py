"""Running the tools: their output, their failures, and no process left after an interruption."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from zeroskip.fpga.tools import YOSYS, Tool, ToolError

MODULE = """
import os, sys, time
def say(arguments):
    print("pid", os.getpid(), flush=True)
    print(*arguments, flush=True)
    if arguments == ["wait"]:
        time.sleep(60)
    if arguments == ["fail"]:
        print("ERROR: no such wire")
        return 3
    return 0
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    (tmp_path / "some_tool.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir("/")
    return Tool(name="sayer", package="some-tool", module="some_tool", function="say")


def test_lines_are_heard(tool: Tool, tmp_path: Path) -> None:
    heard: list[str] = []
    log = tool.run(["hello"], folder=tmp_path, heard=heard.append)
    assert heard[1:] == ["hello"]
    assert log.splitlines() == heard


def test_a_failure_names_the_tools_own_error(tool: Tool, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"^sayer failed: ERROR: no such wire\n"):
        tool.run(["fail"], folder=tmp_path)


def test_an_interruption_ends_the_tool(tool: Tool, tmp_path: Path) -> None:
    processes = []

    def interrupt(line: str) -> None:
        if line.startswith("pid"):
            processes.append(int(line.split()[1]))
        else:
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        tool.run(["wait"], folder=tmp_path, heard=interrupt)
    assert time.monotonic() - start < 30
    with pytest.raises(ProcessLookupError):
        os.kill(processes[0], 0)


def test_a_missing_tool_says_how_to_install_it(tmp_path: Path) -> None:
    missing = Tool(name="nextpnr-x", package="no-such-package", module="no_such_module", function="run")
    with pytest.raises(
        ToolError, match=r'^nextpnr-x is not installed; install it with: pip install "zeroskip\[fpga\]"$'
    ):
        missing.run([], folder=tmp_path)


def test_yosys_answers(tmp_path: Path) -> None:
    assert "Yosys" in YOSYS.run(["-V"], folder=tmp_path)
