"""Names for signals that Amaranth could not name: it sees `a = Signal()`, but not `a, b = Signal(), Signal()` or
`a = [Signal() for _ in range(3)]`. The lines of the source know better."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable
from typing import Any

UNNAMED = ("$signal", "$like")
"""What Amaranth calls them."""


def better_names(places: Iterable[tuple[Any, tuple[str, ...]]]) -> dict[tuple[str, str], str]:
    """Names by (module, wire), for signals and where they are in the design: the modules, then the wire."""
    lines: dict[tuple[str, str, int], list[tuple[int, str]]] = {}
    for signal, (*modules, wire) in places:
        if signal.name in UNNAMED and signal.src_loc is not None:
            file, line = signal.src_loc
            lines.setdefault((".".join(modules), file, line), []).append((signal.duid, f"\\{wire}"))
    found: dict[tuple[str, str], str] = {}
    for (module, file, line), signals in lines.items():
        # In the order in which they were made.
        names = _targets(file, line, len(signals))
        found |= {(module, wire): name for (_, wire), name in zip(sorted(signals), names, strict=False)}
    return found


def _targets(file: str, line: int, count: int) -> list[str]:
    """The names of the `count` signals that the statement at a line makes, or none where it is not clear which."""
    for one in _assignments(file):
        if not one.lineno <= line <= (one.end_lineno or one.lineno):
            continue
        (target,) = one.targets
        if isinstance(target, ast.Tuple) and all(isinstance(part, ast.Name) for part in target.elts):
            names = [part.id for part in target.elts if isinstance(part, ast.Name)]
            # Amaranth names the last of a few by itself.
            if count == len(names) or (isinstance(one.value, ast.Tuple) and count == len(names) - 1):
                return names[:count]
        elif isinstance(target, ast.Name) and isinstance(one.value, ast.ListComp):
            return [f"{target.id}_{number}" for number in range(count)]
    return []


@functools.cache
def _assignments(file: str) -> list[ast.Assign]:
    """The assignments to one target in a source file."""
    try:
        with open(file, encoding="utf-8") as source:
            tree = ast.parse(source.read())
    except OSError:
        return []
    return [one for one in ast.walk(tree) if isinstance(one, ast.Assign) and len(one.targets) == 1]
