"""Ctrl-C: one line that says what was kept, the exit code 130, and a second run that goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ZEROSKIP = (sys.executable, "-m", "zeroskip")
LAUNCHER = "import zeroskip_launcher; zeroskip_launcher.main()"
DATA = ("zeroskip.networks:digits_mlp", "--data", "digits", "--seed", "3")
TRAIN = ("train", *DATA, "--epochs", "400", "--output", "w.safetensors")
SEARCH = ("search", "amc", *DATA, "--episodes", "4000", "--cost", "macs", "--output", "plan.json")
NETADAPT = ("search", "netadapt", *DATA, "--cost", "macs", "--output", "plan.json", "--workers", "2")


def interrupted(folder: Path, command: tuple[str, ...], begun: Callable[[], bool]) -> tuple[int, str, str]:
    """Runs a command and interrupts all its processes, as Ctrl-C in a terminal does, when it has `begun`."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen([*ZEROSKIP, *command], cwd=folder, text=True, start_new_session=True, **pipes)
    try:
        while running.poll() is None and not begun():
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    return running.returncode, out, err


def lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def test_training_keeps_its_epochs(tmp_path: Path) -> None:
    """The run that is interrupted says what is kept, leaves no other file, and the next one resumes from it."""
    checkpoint = tmp_path / "w.safetensors.ckpt"
    code, out, err = interrupted(tmp_path, TRAIN, checkpoint.exists)
    assert (code, out) == (130, "")
    told = re.fullmatch(
        r"interrupted after (\d+) of 400 epochs, which are kept in w.safetensors.ckpt; "
        r"run the same command again to continue\n",
        err,
    )
    assert told, err
    # Nothing is half written.
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.name]
    code, _, err = interrupted(tmp_path, TRAIN, lambda: checkpoint.stat().st_mtime > time.time() - 0.5)
    assert code == 130
    resumed, again = err.splitlines()
    # Ctrl-C may come after an epoch was saved, and before it was reported.
    done = [int(told[1]), int(told[1]) + 1]
    assert resumed in [f"resumed from w.safetensors.ckpt: {epochs} of 400 epochs are done" for epochs in done]
    assert again.startswith("interrupted after ")


@pytest.mark.parametrize(("command", "unit"), [(SEARCH, "4227 plans"), (NETADAPT, "100 percent")])
def test_a_search_keeps_its_journal(tmp_path: Path, command: tuple[str, ...], unit: str) -> None:
    journal = tmp_path / "plan.json.journal"
    code, out, err = interrupted(tmp_path, command, lambda: lines(journal) > 8)
    assert (code, out) == (130, "")
    assert re.fullmatch(
        rf"interrupted after \d+ of {unit}, which are kept in plan.json.journal; continue with --resume\n", err
    )
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGINT, 130, "interrupted: no results are kept\n"), (signal.SIGTERM, 143, ""), (signal.SIGHUP, 129, "")],
)
def test_while_the_simulator_is_built(tmp_path: Path, number: int, code: int, told: str) -> None:
    """A signal to this process alone, as `kill` sends it: what it started ends with it, and the cache holds nothing
    that is half written."""
    bits = {"a": (1, 8), "b": (8, 1)}
    matrices = {name: np.zeros(shape, np.uint16) for name, shape in bits.items()}
    mode = {"dtype": "fp16", "out": "fp32", "generation": "A100"}
    np.savez(tmp_path / "p.npz", c=np.zeros((1, 1), np.uint32), **matrices, **mode)  # type: ignore[arg-type]
    cache = tmp_path / "cache"
    running = subprocess.Popen(
        [*ZEROSKIP, "mma", "p.npz", "--m", "1", "--n", "1"],
        cwd=tmp_path,
        env=os.environ | {"ZEROSKIP_CACHE": str(cache)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # These tests may run under nohup, which ignores SIGHUP.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    with running:
        while running.poll() is None and not [*cache.glob("building-*/verilated*.d")]:
            time.sleep(0.02)
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (code, "", told)
    assert {path.suffix for path in cache.iterdir()} <= {".lock"}
    assert not [*cache.glob("building-*")]
    assert not [file for file in Path("/proc").glob("[0-9]*/cmdline") if str(cache) in command_line(file)]


def command_line(file: Path) -> str:
    """Of a process, which may have ended."""
    try:
        return file.read_text()
    except OSError:
        return ""


def test_before_anything_is_kept(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\ndef net(): pathlib.Path('begun').touch(); time.sleep(60)\n"
    )
    train = ("train", "slow.py:net", *TRAIN[2:])
    code, out, err = interrupted(tmp_path, train, (tmp_path / "begun").exists)
    assert (code, out, err) == (130, "", "interrupted: no results are kept\n")
    assert not [*tmp_path.glob("w.safetensors*")]


@pytest.mark.parametrize("start", ["import runpy; runpy.run_module('zeroskip', run_name='__main__')", LAUNCHER])
def test_while_the_command_line_is_imported(start: str) -> None:
    """Ctrl-C before the command line is there to handle it."""
    code = f"""
import builtins, os, signal
importing = builtins.__import__
def interrupting(name, *rest, **named):
    if name == "typer":
        os.kill(os.getpid(), signal.SIGINT)
    return importing(name, *rest, **named)
builtins.__import__ = interrupting
{start}
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "interrupted: no results are kept\n")


def test_the_second_ends_at_once(tmp_path: Path) -> None:
    """Where the first is not answered, as in a long computation."""
    code = """
import signal, time
from zeroskip import cli
def command() -> None:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print("first", flush=True)
        time.sleep(60)
cli.COMMANDS["wait"] = command
print("begun", flush=True)
cli.main()
"""
    arguments = [sys.executable, "-c", code, "wait"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        assert running.stdout.readline() == "first\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=10) == -signal.SIGINT
