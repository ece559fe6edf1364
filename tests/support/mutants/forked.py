"""Runs tests in forked processes. What these inherit need not be imported and collected again for each mutant."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

PRELOADED = (
    "amaranth.sim",
    "hypothesis",
    "matplotlib.pyplot",
    "numba.core.registry",
    "numpy",
    "rich.progress",
    "safetensors.torch",
    "scipy.special",
    "scipy.sparse",
    "sklearn.datasets",
    "torch.nn.functional",
    "typer.testing",
)
"""What every process inherits. Nothing of zeroskip: it may be imported after a mutant is planted."""

MEMORY = 16 << 30
"""Bytes of address space of a process: a mutant that asks for more fails, instead of the machine."""

SLACK = 10.0
"""A test may take ten times its usual CPU time and so many seconds more."""


@dataclass(frozen=True)
class Ended:
    """How a run of tests ended, the last `test` that ran (the first that failed, if one did), and the seconds."""

    how: Literal["passed", "failed", "timeout", "crashed"]
    test: str
    seconds: float


def preload() -> None:
    """Imports what all tests need."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in PRELOADED:
        importlib.import_module(name)


def forked(work: Callable[[], int], *, limit: float, log: Path) -> Ended:
    """Runs `work`, which returns an exit code of pytest, in a forked process, for at most `limit` seconds. The output
    goes to the file `log`."""
    running = log.with_suffix(".test")
    running.write_text("import")
    began, parent = time.monotonic(), os.getpid()
    process = os.fork()
    if process == 0:
        try:
            os.setsid()
            threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            code = work()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        finally:
            os._exit(70)
    how = _wait(process, began + limit)
    return Ended(how, running.read_text(), round(time.monotonic() - began, 2))


def _wait(process: int, until: float) -> Literal["passed", "failed", "timeout", "crashed"]:
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            # Processes that a test leaves behind.
            _kill(process)
            code = os.waitstatus_to_exitcode(status)
            if code == 0:
                return "passed"
            if code == -signal.SIGPROF:
                return "timeout"
            # 2: a file of tests cannot be imported.
            return "failed" if code in (1, 2) else "crashed"
        if time.monotonic() > until:
            _kill(process)
            os.waitpid(process, 0)
            return "timeout"
        time.sleep(0.05)


def _end_with(parent: int) -> None:
    """Ends this process, and those that it has started, soon after its parent has ended: by Ctrl-C, or killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def enter(checkout: Path, numba_cache: Path) -> None:
    """Makes this process import zeroskip and the tests' helpers from the checkout, and other processes too."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("zeroskip", "support")]:
        del sys.modules[name]
    os.chdir(checkout)
    # The folder of a program: with it, the folders of the tests would be packages.
    program = str(Path(sys.argv[0]).resolve().parent)
    sys.path[:] = [str(checkout), *[entry for entry in sys.path if entry not in ("", str(checkout), program)]]
    os.environ["PYTHONPATH"] = str(checkout)
    os.environ["NUMBA_CACHE_DIR"] = str(numba_cache)
    sys.modules["numba.core.config"].CACHE_DIR = str(numba_cache)  # type: ignore[attr-defined]


def run_pytest(checkout: Path, files: Sequence[str], plugins: Sequence[Any], *options: str) -> int:
    """Runs pytest in this process, without what it keeps between runs, until the first failure."""
    # Without capturing, so that a process forked in a test has its own output.
    usual = ["-s", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "--tb=short", "--hypothesis-seed=0"]
    settings = [f"--rootdir={checkout}", "-c", str(checkout / "pyproject.toml")]
    return int(pytest.main([*usual, *options, *settings, *files], plugins=list(plugins)))


class Chosen:
    """Runs only the `tests` (ids, with their usual CPU seconds), in their order, and ends the process if one takes much
    longer. The test that runs stands in the file `running`."""

    def __init__(self, tests: Mapping[str, float], running: Path) -> None:
        self.tests, self.running = tests, running

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = in_order(items, self.tests)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self.running.write_text(item.nodeid)
        # The default action of this signal ends the process, in C code too. Only its own CPU time counts.
        signal.setitimer(signal.ITIMER_PROF, SLACK + 10 * self.tests[item.nodeid])


def in_order(items: Sequence[pytest.Item], tests: Mapping[str, float]) -> list[pytest.Item]:
    """Those items that are named, in the order of the names."""
    by_name = {item.nodeid: item for item in items}
    return [by_name[test] for test in tests if test in by_name]
