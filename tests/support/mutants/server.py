"""One process that has collected all tests, from which the mutants are forked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from _pytest.main import pytest_runtestloop as run_items
from support.mutants.forked import Chosen, Ended, enter, forked, in_order, run_pytest

Plant = Callable[[], None]
Try = Callable[[Plant, Mapping[str, float]], Ended]
"""Runs tests in a forked process in which something has been planted first."""


def serve(checkout: Path, files: Sequence[str], numba_cache: Path, log: Path, work: Callable[[Try], None]) -> None:
    """Collects the tests of the `files` in a forked process, and calls `work` there with what runs some of them."""

    class Server:
        def pytest_runtestloop(self, session: pytest.Session) -> bool:
            def attempt(plant: Plant, tests: Mapping[str, float]) -> Ended:
                def run() -> int:
                    plant()
                    session.config.pluginmanager.register(Chosen(tests, log.with_suffix(".test")))
                    session.items = in_order(session.items, tests)
                    if not session.items:
                        return 3
                    try:
                        run_items(session)
                    except pytest.Session.Failed:
                        return 1
                    return 1 if session.testsfailed else 0

                return forked(run, limit=120 + 20 * sum(tests.values()), log=log)

            work(attempt)
            return True

    def run() -> int:
        enter(checkout, numba_cache)
        return run_pytest(checkout, files, [Server()])

    ended = forked(run, limit=float("inf"), log=log.with_suffix(".server"))
    if ended.how != "passed":
        raise RuntimeError(f"the tests cannot be collected: see {log.with_suffix('.server')}")


def run_anew(checkout: Path, tests: Mapping[str, float], numba_cache: Path, log: Path) -> Ended:
    """Runs tests in a forked process that imports zeroskip anew."""

    def run() -> int:
        enter(checkout, numba_cache)
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        return run_pytest(checkout, files, [Chosen(tests, log.with_suffix(".test"))])

    return forked(run, limit=120 + 20 * sum(tests.values()), log=log)
