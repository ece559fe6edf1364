"""The tester on a project of one small module: what it must kill, what it must not, and that it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

MODULE = """
def clamped(x, *, most=10):
    if x > most:
        return most
    return x + 1


def counted(n):
    steps = 0
    while n > 0:
        n -= 1
        steps += 1
    return steps


class Held:
    size = 4

    @property
    def double(self):
        return 2 * self.size


def unused(x):
    return x * 3
"""

TESTS = """
import subprocess
import sys

from zeroskip.model.tiny import Held, clamped, counted


def test_clamped():
    assert clamped(3) == 4
    assert clamped(99) == 10


def test_counted():
    assert counted(5) == 5


def test_held():
    assert Held().double == 8


def test_another_process():
    code = "from zeroskip.model.tiny import clamped; print(clamped(5))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "6\\n"


def test_that_fails_anyway():
    assert clamped(1) == 7
"""

EQUIVALENT = """
[[equivalent]]
file = "model/tiny.py"
function = "clamped"
before = "if x > most: ..."
after = "if x >= most: ..."
reason = "For the test of the list."
"""

RUN = """
import sys
from pathlib import Path
from support.mutants import forked, run, sample

forked.PRELOADED = ("numba.core.registry",)
forked.SLACK = 0.5
sample.TARGETS = {"model/*.py": 1.0}
run.TESTS = ("tests",)
sys.exit(run.run(Path.cwd(), count=100, seed=0, budget=10, words=sys.argv[1:], equivalent=Path("list.toml")))
"""


def mutate(project: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_small_project(tmp_path: Path) -> None:
    """One run, a second that only reads the journal, and one after a test was added."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tiny.py").write_text(MODULE)
    (tmp_path / "zeroskip").mkdir()
    (tmp_path / "zeroskip" / "__init__.py").touch()
    (tmp_path / "zeroskip" / "model").symlink_to("../model")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_tiny.py").write_text(TESTS)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"\n')
    (tmp_path / ".gitignore").write_text("build/\n__pycache__/\n")
    (tmp_path / "list.toml").write_text(EQUIVALENT)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)

    code, out, err = mutate(tmp_path)
    journal = tmp_path / "build" / "mutants" / "journal.jsonl"
    assert "fails without a mutant: tests/test_tiny.py::test_that_fails_anyway" in err
    results = {value["key"].partition(": ")[2]: value for value in map(json.loads, journal.read_text().splitlines())}

    def how(key: str) -> tuple[str, str]:
        return results[key]["how"], results[key]["test"].rpartition("::")[2]

    assert how("clamped: return x + 1 -> return x - 1") == ("killed", "test_clamped")
    assert how("clamped: return x + 1 -> return x + 2") == ("killed", "test_clamped")
    # Defaults are bound where the function is defined.
    assert how(": def clamped(x, *, most=10): ... -> def clamped(x, *, most=11): ...") == ("killed", "test_clamped")
    assert how("clamped: if x > most: ... -> if x >= most: ...") == ("survived", "")
    assert how("counted: n -= 1 -> pass") == ("timeout", "test_counted")
    assert how("Held: size = 4 -> size = 5") == ("killed", "test_held")
    assert how("Held.double: return 2 * self.size -> return 2 / self.size") == ("killed", "test_held")
    # No test runs this line; those of the file that could run it in another process do not notice it.
    assert how("unused: return x * 3 -> return x / 3") == ("survived", "")
    assert "-> return x / 3" in out
    assert "-> if x >= most" not in out, "it is listed as equivalent"
    count = len(results)
    assert code == 1
    assert f"{count - 3} of {count} mutants are killed, run out of time, or are equivalent" in out

    lines = journal.read_text()
    assert mutate(tmp_path)[:2] == (code, out)
    assert journal.read_text() == lines

    tests = tmp_path / "tests" / "test_tiny.py"
    tests.write_text(
        TESTS.replace("import Held,", "import unused, Held,")
        + "\n\ndef test_more():\n    assert unused(2) == 6\n    assert clamped(10) == 11\n"
    )
    code, out, err = mutate(tmp_path)
    assert (code, f"{count} of {count} mutants are killed, run out of time, or are equivalent" in out) == (0, True)
    new = journal.read_text().removeprefix(lines).splitlines()
    assert len(new) == 4, "only what survived is tried again"


def test_nothing_goes_on_after_the_tester_was_killed(tmp_path: Path) -> None:
    """Neither the process in which it runs the tests, nor what these have started."""
    (tmp_path / "tester.py").write_text(
        "import os, subprocess, time\nfrom pathlib import Path\nfrom support.mutants.forked import forked\n\n\n"
        "def work():\n    started = subprocess.Popen(['sleep', '600'])\n"
        "    Path('ids').write_text(f'{os.getpid()} {started.pid} ')\n    time.sleep(600)\n\n\n"
        "forked(work, limit=600, log=Path('log'))\n"
    )
    root = Path(__file__).parents[1]
    tester = subprocess.Popen([sys.executable, "tester.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)})
    until = time.monotonic() + 60
    while not (tmp_path / "ids").exists() or not (tmp_path / "ids").read_text().endswith(" "):
        assert tester.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    tester.kill()
    tester.wait()
    ids = (tmp_path / "ids").read_text().split()
    while any(alive(number) for number in ids):
        assert time.monotonic() < until, f"{ids} go on"
        time.sleep(0.1)


def alive(number: str) -> bool:
    stat = Path(f"/proc/{number}/stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2][0] != "Z"
