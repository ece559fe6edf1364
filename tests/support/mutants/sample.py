"""Which mutants are tried: a sample that stays the same while the code does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.mutants.mutations import Mutation, mutations

TARGETS = {
    "model/search/methods/*.py": 2.0,
    "model/search/costs/*.py": 2.0,
    "model/search/spaces/*.py": 1.0,
    "model/search/storage/*.py": 1.0,
    "model/search/*.py": 2.0,
    "model/pruning/*.py": 2.0,
    "model/data/split.py": 2.0,
    "model/eie/calibrate.py": 2.0,
    "model/eie/kmeans.py": 2.0,
    "model/eie/[a-hk-rt-z]*.py": 1.0,
    "model/eie/sh*.py": 1.0,
    "model/mma/*.py": 1.0,
    "model/network/*.py": 1.0,
    "model/network/reading/*.py": 1.0,
}
"""The files that get mutants, and how many in proportion to what can be mutated. The first pattern that fits counts."""

LEFT_OUT = ("bench", "sweep", "presets", "views", "core.py", "paper_layers")
"""Benchmarks, pages and names: their figures are checked elsewhere, or are choices."""


@dataclass(frozen=True)
class Mutant:
    """A mutation of the file `path` (from the root of the checkout); `digest` is the hash of the file's code."""

    path: str
    mutation: Mutation
    digest: str

    @property
    def key(self) -> str:
        return f"{self.path}: {self.mutation.key}"

    @property
    def place(self) -> str:
        return f"{self.path}:{self.mutation.lines[0]}"


def all_mutants(root: Path) -> list[Mutant]:
    """Every mutant of the targets; of those with the same key the first."""
    found: dict[str, Mutant] = {}
    for path in _weights(root):
        source = (root / path).read_text()
        digest = hashlib.sha256(source.encode()).hexdigest()[:16]
        for mutation in mutations(source):
            mutant = Mutant(path, mutation, digest)
            found.setdefault(mutant.key, mutant)
    return list(found.values())


def sample(root: Path, count: int, seed: int) -> list[Mutant]:
    """`count` of the mutants. Each has a random number from its key and the seed, and the least are chosen: a change
    in one place leaves the choice in all others. Constants, which are most, count half."""
    weights = _weights(root)

    def order(mutant: Mutant) -> float:
        draw = int(hashlib.sha256(f"{seed} {mutant.key}".encode()).hexdigest()[:12], 16)
        return draw * (2 if mutant.mutation.operator == "constant" else 1) / weights[mutant.path]

    return sorted(all_mutants(root), key=order)[:count]


def chosen(root: Path, count: int, seed: int, words: Sequence[str]) -> list[Mutant]:
    """The sample, or of all mutants those whose key holds one of the `words`."""
    if not words:
        return sample(root, count, seed)
    return [mutant for mutant in all_mutants(root) if any(word in f"{mutant.key}" for word in words)]


def _weights(root: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for pattern, weight in TARGETS.items():
        for path in sorted(root.glob(pattern)):
            name = str(path.relative_to(root))
            if not any(part in name for part in LEFT_OUT):
                found.setdefault(name, weight)
    return found
