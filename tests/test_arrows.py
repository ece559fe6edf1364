"""Arrows between packages run one way: zeroskip -> fpga, cosim -> rtl -> model, without circles (docs: "The house").

A room is a package, or a module that stands directly in a package which has rooms of its own. Imports are read from the
source, not run; those under `if TYPE_CHECKING` do not count, those inside functions do.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from zeroskip.model.cores import CORES
from zeroskip.model.sources import PACKAGE, imports_of

WINGS = ("model", "rtl", "cosim", "fpga")


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package: its dotted name, without "zeroskip.", and its file."""
    for path in sorted(PACKAGE.rglob("*.py", recurse_symlinks=True)):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


print(list(modules())[:3])
