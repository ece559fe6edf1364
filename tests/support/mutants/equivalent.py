"""Mutants that change nothing a test could see, each with the reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from support.mutants.sample import Mutant

LIST = Path(__file__).parent / "equivalent.toml"


def reasons(path: Path) -> dict[str, str]:
    """The reason for each key of a mutant. Raises ValueError where an entry says none."""
    found = {}
    for entry in tomllib.loads(path.read_text()).get("equivalent", []):
        key = f"{entry['file']}: {entry['function']}: {entry['before']} -> {entry['after']}"
        if not entry.get("reason", "").strip():
            raise ValueError(f"{path.name}: reason must say why nothing changes with {key}")
        found[key] = entry["reason"]
    return found


def without_mutant(keys: Iterable[str], mutants: Iterable[Mutant]) -> list[str]:
    """The keys that no mutant has: the code has changed."""
    known = {mutant.key for mutant in mutants}
    return [key for key in keys if key not in known]
