"""Which tests run which lines: recorded once for each file of tests, and again when the file changes."""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import coverage
import pytest
from support.mutants.forked import enter, forked, run_pytest
from support.mutants.sample import Mutant

RECORDING = 3600.0
"""The seconds that recording may take."""

AT_ONCE = 10
"""So many files of tests are recorded before the results are saved."""


class Recorder:
    """Records in the process of the tests, by coverage, for each test its seconds and the lines of `model/` it runs."""

    def __init__(self, checkout: Path, to: Path) -> None:
        self.checkout, self.to = checkout, to
        self.seconds: dict[str, float] = defaultdict(float)
        self.compiled: dict[str, set[tuple[str, int, int]]] = defaultdict(set)
        self.failed: list[str] = []
        self.test = ""
        self.coverage: coverage.Coverage | None = None

    def begin(self) -> None:
        """Starts, before zeroskip is imported."""
        folder = str(self.checkout / "model")
        self.coverage = coverage.Coverage(data_file=None, source=[folder], config_file=False)
        self.coverage.start()
        self._see_machine_code()

    def _see_machine_code(self) -> None:
        """Coverage sees no line of a function that numba has compiled: its calls are recorded, with all its lines and
        those of the functions that it calls."""
        from numba.core.registry import CPUDispatcher

        call: Callable[..., Any] = super(CPUDispatcher, CPUDispatcher).__call__

        def called(dispatcher: Any, *arguments: Any, **named: Any) -> Any:
            self.compiled[self.test] |= _all_lines(dispatcher.py_func)
            return call(dispatcher, *arguments, **named)

        CPUDispatcher.__call__ = called

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        assert self.coverage is not None
        self.test = item.nodeid
        self.coverage.switch_context(item.nodeid)
        began = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = round(time.process_time() - began, 3)
            self.coverage.switch_context("")
            self.test = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        assert self.coverage is not None
        self.coverage.stop()
        data = self.coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for file in data.measured_files():
            for line, tests in data.contexts_by_lineno(file).items():
                for test in filter(None, tests):
                    lines[test][self._name(file)].append(line)
        for test, functions in self.compiled.items():
            for file, first, last in functions:
                if test and self.checkout in Path(file).parents:
                    lines[test][self._name(file)] += range(first, last + 1)
        found: dict[str, Any] = {}
        for test, seconds in self.seconds.items():
            of_file = found.setdefault(test.partition("::")[0], {"seconds": {}, "lines": {}, "failed": []})
            of_file["seconds"][test], of_file["lines"][test] = seconds, lines[test]
        for test in self.failed:
            found[test.partition("::")[0]]["failed"].append(test)
        for value in found.values():
            names = {name for by_file in value["lines"].values() for name in by_file}
            value["sources"] = {name: (self.checkout / name).read_text().splitlines() for name in names}
        self.to.write_text(json.dumps(found))

    def _name(self, file: str) -> str:
        return str(Path(file).resolve().relative_to(self.checkout.resolve()))


@functools.cache
def _all_lines(function: Any) -> frozenset[tuple[str, int, int]]:
    """File, first and last line of a function and of all compiled ones that it calls."""
    found: dict[Any, tuple[str, int, int]] = {}
    left = [function]
    while left:
        one = left.pop()
        if one not in found:
            code = one.__code__
            last = max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
            found[one] = code.co_filename, code.co_firstlineno, last
            named = [one.__globals__.get(name) for name in code.co_names]
            left += [other.py_func for other in named if hasattr(other, "py_func")]
    return frozenset(found.values())


def record(checkout: Path, files: list[str], folder: Path, numba_cache: Path, say: Callable[[str], None]) -> None:
    """Records the `files` of tests that have changed since they were recorded, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    stale = [file for file in files if not _record_of(checkout, file, folder).exists()]
    for first in range(0, len(stale), AT_ONCE):
        some = stale[first : first + AT_ONCE]
        say(f"recording which lines the tests of {first} to {first + len(some)} of {len(stale)} files run")
        _record(checkout, some, folder, numba_cache, say)


def _record(checkout: Path, files: list[str], folder: Path, numba_cache: Path, say: Callable[[str], None]) -> None:
    recorder = Recorder(checkout, folder / "raw")

    def work() -> int:
        enter(checkout, numba_cache)
        recorder.begin()
        return run_pytest(checkout, files, [recorder], "--maxfail=1000")

    forked(work, limit=RECORDING, log=folder / "log")
    found = json.loads(recorder.to.read_text())
    recorder.to.unlink()
    for file in files:
        for old in folder.glob(f"{_name(file)}.*"):
            old.unlink()
        if file not in found:
            say(f"left out, as none of its tests could be collected: {file}")
        value = found.get(file, {"seconds": {}, "lines": {}, "failed": [], "sources": {}})
        _record_of(checkout, file, folder).write_text(json.dumps(value))
        for test in value["failed"]:
            say(f"left out, as it fails without a mutant: {test}")


def _name(file: str) -> str:
    return file.replace("/", "-").removesuffix(".py")


def _record_of(checkout: Path, file: str, folder: Path) -> Path:
    digest = hashlib.sha256((checkout / file).read_bytes()).hexdigest()[:12]
    return folder / f"{_name(file)}.{digest}.json"


class Covers:
    """What was recorded: the tests for a mutant, and how long each takes."""

    def __init__(self, checkout: Path, files: list[str], folder: Path) -> None:
        self.checkout = checkout
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[str, set[int]]] = defaultdict(dict)
        for file in files:
            path = _record_of(checkout, file, folder)
            if not path.exists():
                continue
            value = json.loads(path.read_text())
            bad = set(value["failed"])
            self.seconds |= {test: seconds for test, seconds in value["seconds"].items() if test not in bad}
            sources = {name: tuple(lines) for name, lines in value["sources"].items()}
            for test, by_file in value["lines"].items():
                if test in bad:
                    continue
                for name, lines in by_file.items():
                    moved = _moved(sources[name], self._source(name))
                    self.lines[name][test] = {moved[line] for line in lines if line in moved}

    @functools.cache  # noqa: B019 - lives as long as the program
    def _source(self, name: str) -> tuple[str, ...]:
        path = self.checkout / name
        return tuple(path.read_text().splitlines()) if path.exists() else ()

    def tests(self, mutant: Mutant, budget: float) -> dict[str, float]:
        """The tests that run the statement, as many as take `budget` seconds: first those named like the file, then
        the fastest. A statement outside functions is run by all that use the file. One that no test is seen to run may
        run in another process: then those named like the file are tests too."""
        first, last = mutant.mutation.lines
        found = self.lines.get(mutant.path, {})
        inside = mutant.mutation.inside
        own = f"/test_{Path(mutant.path).stem}"

        def near(around: int) -> list[str]:
            lines = range(first - around, last + around + 1)
            return [test for test, run in found.items() if not run.isdisjoint(lines)]

        tests = near(0) if inside else list(found)
        if not tests:
            # A line that is newer than the recording has its neighbours' tests.
            tests = list(dict.fromkeys([*(near(3) or near(10)), *(test for test in found if own in test)]))
        tests.sort(key=lambda test: (own not in test, self.seconds[test]))
        chosen: dict[str, float] = {}
        for test in tests:
            if chosen and sum(chosen.values()) + self.seconds[test] > budget:
                break
            chosen[test] = self.seconds[test]
        return chosen

    def digest(self, tests: Iterable[str]) -> str:
        """A hash of the files that hold these tests."""
        files = sorted({test.partition("::")[0] for test in tests})
        return hashlib.sha256(b"".join((self.checkout / file).read_bytes() for file in files)).hexdigest()[:12]


@functools.cache
def _moved(old: tuple[str, ...], new: tuple[str, ...]) -> dict[int, int]:
    """Where the lines of a file are now, by line number."""
    if old == new:
        return {line: line for line in range(1, len(new) + 1)}
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return {block.a + at + 1: block.b + at + 1 for block in blocks for at in range(block.size)}
