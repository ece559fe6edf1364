"""Imports between packages run one way: zeroskip -> fpga -> cosim -> rtl -> model, without cycles.

Imports are read from the source files. Those inside functions count, those under `if TYPE_CHECKING` do not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from zeroskip.model.cores import CORES, UNITS
from zeroskip.model.sources import PACKAGE, direct_imports

FORBIDDEN = {
    "model": ("rtl", "cosim", "fpga", "api", "commands", "cli"),
    "rtl": ("cosim", "fpga", "api", "commands", "cli"),
    "cosim": ("fpga", "api", "commands", "cli"),
    "fpga": ("api", "commands", "cli"),
    "api": ("commands", "cli"),
}
"""For each folder of `zeroskip`, the names in `zeroskip` that nothing in it may import."""

RTL_MAY_IMPORT = ("geometry", "pattern", "numerics", "bits")
"""The modules of `model`, by their last name, that RTL may import: sizes, and the widths of formats."""


def _modules() -> dict[str, Path]:
    """Every module by its dotted name, without "zeroskip."; packages by the name of the folder."""
    found = {}
    for folder, _, files in os.walk(PACKAGE, followlinks=True):
        for file in files:
            path = Path(folder, file)
            if path.suffix == ".py":
                parts = path.relative_to(PACKAGE).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}


def _arrows() -> Iterator[tuple[str, str]]:
    """(importing module, imported module); packages are left out, as each module imports those around it."""
    for name, path in MODULES.items():
        for imported in direct_imports(path):
            target = imported.partition(".")[2]
            if target in MODULES and target not in PACKAGES:
                yield name, target


ARROWS = sorted(_arrows())


def _room(module: str) -> str:
    """The package of a module. A module beside sub-packages is a room of its own."""
    package = module.rpartition(".")[0]
    has_rooms = any(other.rpartition(".")[0] == package for other in PACKAGES if other)
    return module if has_rooms else package


def _core_of(module: str) -> str | None:
    """The core in whose folder a module is, in any part of the package."""
    return next((part for part in module.split(".")[:-1] if part in CORES or part in UNITS), None)


def test_the_imports_are_found() -> None:
    """If nothing were found, every test below would pass."""
    assert ("model.search.setup", "model.search.plan") in ARROWS
    assert ("rtl.eie.pe", "model.eie.geometry") in ARROWS


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_nothing_imports_what_is_above_it(folder: str) -> None:
    wrong = [
        (source, target)
        for source, target in ARROWS
        if source.split(".")[0] == folder and target.split(".")[0] in FORBIDDEN[folder]
    ]
    assert wrong == []


def test_rtl_imports_geometry_and_formats_alone() -> None:
    wrong = [
        (source, target)
        for source, target in ARROWS
        if source.startswith("rtl.") and target.startswith("model.") and target.split(".")[-1] not in RTL_MAY_IMPORT
    ]
    assert wrong == []


def test_cores_do_not_import_each_other() -> None:
    wrong = [
        (source, target)
        for source, target in ARROWS
        if _core_of(source) is not None and _core_of(target) not in (None, _core_of(source))
    ]
    assert wrong == []


def test_cores_import_neither_pruning_nor_search() -> None:
    """Only what a core has in `api` and `commands` may: it prunes before it compiles."""
    wrong = [
        (source, target)
        for source, target in ARROWS
        if _core_of(source) is not None
        and source.split(".")[0] not in ("api", "commands")
        and target.startswith(("model.pruning.", "model.search."))
    ]
    assert wrong == []


def test_there_are_no_cycles() -> None:
    graph: dict[str, set[str]] = {}
    for source, target in ARROWS:
        if _room(source) != _room(target):
            graph.setdefault(_room(source), set()).add(_room(target))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"packages import each other: {' <- '.join(error.args[1])}")
