"""The faults that are planted, and their names."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from support.mutants.equivalent import LIST, reasons
from support.mutants.mutations import mutated, mutations
from support.mutants.sample import sample

ROOT = Path(__file__).parents[2]


def after(source: str) -> list[str]:
    return [mutation.after for mutation in mutations(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a == b != c", ["x = a != b != c", "x = a == b == c"]),
        ("x = a + b * c", ["x = a - b * c", "x = a + b / c"]),
        ("x = 'a' + b", []),
        ("x = 3", ["x = 4", "x = 2"]),
        ("x = 0.5", ["x = 5.0", "x = 0.05"]),
        ("x = True", ["x = False"]),
        ("x = a and not b", ["x = a or not b", "x = a and b"]),
        ("x = np.rint(min(a, b))", ["x = np.floor(min(a, b))", "x = np.rint(max(a, b))"]),
        ("x = f(a, key=b)", []),
        ("x = a.sum(axis=b)", ["x = a.sum()"]),
        ("x = sorted(a, key=b)", ["x = sorted(a)"]),
        ("x = range(n)", ["x = range(n - 1)", "x = range(1, n)"]),
        ("x = a[b:c]", ["x = a[b + 1:c]", "x = a[b:c + 1]"]),
        ("x = [a for a in b if c]", ["x = [a for a in b]"]),
        ("raise ValueError(1)", ["pass"]),
        ("f(a)", ["pass"]),
        ("x += a", ["pass"]),
        ("x.y = a", ["pass"]),
        ("x = f(x)", ["pass"]),
        ("if a:\n    b", ["if not a: ..."]),
        ("with a:\n    b", ["with __import__('contextlib').nullcontext(): ..."]),
        ("x = f'{a + 1}'", []),
        ("'text'", []),
        ("x: int = 1", ["x: int = 2", "x: int = 0"]),
    ],
)
def test_each_kind(source: str, expected: list[str]) -> None:
    assert after(source) == expected


def test_an_early_return_comes_before_the_second_half() -> None:
    source = "def f(a):\n    g = a\n    b = a\n    c = a"
    (early,) = mutations(source)
    assert (early.function, early.operator) == ("", "early return")
    assert mutated(source, early.number) == "def f(a):\n    g = a\n    return\n    b = a\n    c = a\n"


def test_every_mutation_of_a_file_is_another_program() -> None:
    """And none is the program itself, which comes back unchanged without a mutation."""
    source = (ROOT / "model/search/methods/netadapt.py").read_text()
    found = mutations(source)
    programs = [mutated(source, mutation.number) for mutation in found]
    same = ast.unparse(ast.parse(source)) + "\n"
    assert mutated(source, None) == same
    assert same not in programs
    assert len(set(programs)) == len(programs) > 50
    lines = source.splitlines()
    for mutation in found:
        first, last = mutation.lines
        there = "".join("".join(lines[first - 1 : last]).split()).removeprefix("el")
        assert there[:6] == "".join(mutation.before.split())[:6]


def test_the_sample_is_spread() -> None:
    """400 mutants from most files of every target."""
    found = sample(ROOT, 400, 0)
    assert len({mutant.key for mutant in found}) == 400
    assert len({mutant.path for mutant in found}) > 60
    folders = {str(Path(mutant.path).parent) for mutant in found}
    assert {"model/search/methods", "model/pruning", "model/eie", "model/mma", "model/network"} <= folders
    counts = np.unique([mutant.mutation.operator for mutant in found], return_counts=True)[1]
    assert len(counts) >= 10
    assert counts.max() < 160


def test_every_equivalent_mutant_has_a_reason(tmp_path: Path) -> None:
    assert all(reasons(LIST).values())
    path = tmp_path / "list.toml"
    path.write_text('[[equivalent]]\nfile = "a.py"\nfunction = "f"\nbefore = "x"\nafter = "y"\nreason = " "\n')
    with pytest.raises(ValueError, match=r"list.toml: reason must say why nothing changes with a.py: f: x -> y"):
        reasons(path)
