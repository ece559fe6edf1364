"""Plants the mutants one after the other and shows what the tests let pass."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from support.mutants.checkout import copy_checkout, planted
from support.mutants.covers import Covers, record
from support.mutants.equivalent import LIST, reasons, without_mutant
from support.mutants.forked import Ended, preload
from support.mutants.in_place import CannotPlant, planting
from support.mutants.journal import Journal, Result
from support.mutants.mutations import mutated
from support.mutants.sample import Mutant, all_mutants, chosen
from support.mutants.server import Try, run_anew, serve

TESTS = ("tests/model", "tests/api")
"""The folders whose tests must notice the mutants: those of the simulator would take too long."""

HOW = {"failed": "killed", "crashed": "killed", "timeout": "timeout", "passed": "survived"}


def run(root: Path, *, count: int, seed: int, budget: float, words: Sequence[str], equivalent: Path = LIST) -> int:
    """Tries `count` mutants of the checkout `root`, or those with one of the `words`, each with tests of at most
    `budget` seconds. Returns the exit code: 0 where at least 90 % are killed or equivalent."""
    folder = root / "build" / "mutants"
    copy_checkout(root, folder / "checkout")
    preload()
    mutants = chosen(folder / "checkout", count, seed, words)
    known = reasons(equivalent)
    say = _printer()
    if not words:
        for key in without_mutant(known, all_mutants(folder / "checkout")):
            say(f"equivalent.toml: no such mutant any more: {key}")
    return _show(mutants, Trials(folder, mutants, budget, say).results(), known)


class Trials:
    """Tries `mutants` in the checkout that lies in `folder`, and keeps the results there."""

    def __init__(self, folder: Path, mutants: Sequence[Mutant], budget: float, say: Callable[[str], None]) -> None:
        self.folder, self.mutants, self.say = folder, mutants, say
        self.checkout, self.caches, self.log = folder / "checkout", folder / "numba", folder / "log"
        found = (path for part in TESTS for path in sorted((self.checkout / part).rglob("test_*.py")))
        self.files = [str(path.relative_to(self.checkout)) for path in found]
        record(self.checkout, self.files, folder / "covers", self.caches, say)
        covers = Covers(self.checkout, self.files, folder / "covers")
        self.tests = {mutant.key: covers.tests(mutant, budget) for mutant in mutants}
        self.digests = {key: covers.digest(tests) for key, tests in self.tests.items()}
        self.journal = Journal(folder / "journal.jsonl")

    def results(self) -> list[Result]:
        """The results of all mutants, in their order."""
        for mutant in self._left():
            if not self.tests[mutant.key]:
                self._add(mutant, "no test", "", 0.0)
        # First in a process that has collected all tests. What it cannot plant, it leaves.
        if self._left():
            serve(self.checkout, self.files, self.caches, self.log, self._try_in_place)
            self.journal.read()
        for mutant in self._left():
            with planted(self.checkout, mutant.path, mutant.mutation.number):
                self._ended(mutant, run_anew(self.checkout, self.tests[mutant.key], self._caches(mutant), self.log))
        return [self.journal.known[mutant.key] for mutant in self.mutants]

    def _left(self) -> list[Mutant]:
        return [mutant for mutant in self.mutants if self.journal.find(mutant, self.digests[mutant.key]) is None]

    def _try_in_place(self, attempt: Try) -> None:
        left = self._left()
        # Without a mutant, the tests of the first must pass.
        ended = attempt(lambda: None, self.tests[left[0].key])
        if ended.how != "passed":
            raise RuntimeError(f"without a mutant, {ended.test} {ended.how}: see {self.log}")
        for mutant in left:
            file = self.checkout / mutant.path
            source = mutated(file.read_text(), mutant.mutation.number)
            module = "zeroskip." + mutant.path.removesuffix(".py").replace("/", ".")
            try:
                plant = planting(module, str(file), source, mutant.mutation.function)
            except CannotPlant:
                continue
            # The file has it too, for the processes that tests start.
            with planted(self.checkout, mutant.path, mutant.mutation.number):
                self._ended(mutant, attempt(plant, self.tests[mutant.key]))

    def _caches(self, mutant: Mutant) -> Path:
        """Numba would take its cached code where only a constant, or a function that is called, has changed."""
        if "numba" not in (self.checkout / mutant.path).read_text():
            return self.caches
        shutil.rmtree(self.folder / "numba-of-mutant", ignore_errors=True)
        return self.folder / "numba-of-mutant"

    def _ended(self, mutant: Mutant, ended: Ended) -> None:
        self._add(mutant, HOW[ended.how], "" if ended.how == "passed" else ended.test, ended.seconds)

    def _add(self, mutant: Mutant, how: str, test: str, seconds: float) -> None:
        key, digest = mutant.key, mutant.digest
        self.journal.add(Result(key=key, digest=digest, how=how, test=test, tests=self.digests[key], seconds=seconds))
        self.say(f"{len(self.mutants) - len(self._left())}/{len(self.mutants)} {how} {seconds} s {mutant.place} {test}")


def _show(mutants: Sequence[Mutant], results: Sequence[Result], known: Mapping[str, str]) -> int:
    count: Counter[str] = Counter()
    folders: dict[str, Counter[str]] = {}
    for mutant, result in zip(mutants, results, strict=True):
        how, mutation = result.how, mutant.mutation
        if how in ("survived", "no test"):
            if mutant.key in known:
                how = "equivalent"
            else:
                print(f"{mutant.place} [{mutation.operator}] in {mutation.function or 'the module'}: {how}")
                print(f"    {mutation.before}\n -> {mutation.after}")
        count[how] += 1
        folders.setdefault(str(Path(mutant.path).parent), Counter())[how] += 1
    columns = ("killed", "timeout", "equivalent", "survived", "no test")
    print(f"\n{'':32}" + "".join(f"{column:>12}" for column in columns))
    for name, counts in [*sorted(folders.items()), ("all", count)]:
        print(f"{name:32}" + "".join(f"{counts[column]:12}" for column in columns))
    detected = count["killed"] + count["timeout"] + count["equivalent"]
    print(f"\n{detected} of {len(results)} mutants are killed, run out of time, or are equivalent")
    return 0 if detected >= 0.9 * len(results) else 1


def _printer() -> Callable[[str], None]:
    """Prints to the standard error that this process has now: forked ones have another."""
    file = os.fdopen(os.dup(2), "w")
    return lambda text: print(text, file=file, flush=True)
