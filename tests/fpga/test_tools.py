"""Running the tools: their output, their failures, and no process left after an interruption."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zeroskip.fpga.tools import YOSYS, Tool, ToolError

ROOT = Path(__file__).parents[2]

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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with the one that started it")
def test_a_kill_ends_the_tool(tool: Tool, tmp_path: Path) -> None:
    """As when the machine's memory is full: nothing of the caller runs any more."""
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from pathlib import Path
from zeroskip.fpga.tools import Tool
tool = Tool(name="sayer", package="some-tool", module="some_tool", function="say")
tool.run(["wait"], folder=Path({str(tmp_path)!r}), heard=lambda line: print(line, flush=True))
"""
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    process = int(caller.stdout.readline().split()[1])
    caller.kill()
    caller.communicate()
    until = time.monotonic() + 30
    while (state := _state(process)) not in ("", "Z") and time.monotonic() < until:
        time.sleep(0.05)
    assert state in ("", "Z")


def _state(process: int) -> str:
    """The letter of a process's state; empty if there is none. One that ended waits as Z where nobody asks for it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def test_a_missing_tool_says_how_to_install_it(tmp_path: Path) -> None:
    missing = Tool(name="nextpnr-x", package="no-such-package", module="no_such_module", function="run")
    with pytest.raises(
        ToolError, match=r'^nextpnr-x is not installed; install it with: pip install "zeroskip\[fpga\]"$'
    ):
        missing.run([], folder=tmp_path)


def test_yosys_answers(tmp_path: Path) -> None:
    assert "Yosys" in YOSYS.run(["-V"], folder=tmp_path)
