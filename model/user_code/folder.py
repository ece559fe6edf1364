"""What a user's folder holds."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path

from zeroskip.model.sources import PACKAGE


def find(folder: Path, name: str) -> ModuleSpec | None:
    """Finds the module with this dotted name in `folder` as Python would; None where there is none. Imports nothing.

    As in Python, a folder without an __init__.py counts as a package only where no other package has its name. The
    folders of zeroskip are not the user's, even where the user works in a checkout of it.
    """
    top, *rest = name.split(".")
    if not all(part.isidentifier() for part in (top, *rest)) or (top == "zeroskip" and rest and _is_ours(rest)):
        return None
    spec = _top(folder, top)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec


def _top(folder: Path, name: str) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name, [str(folder)])
    if spec is not None and spec.submodule_search_locations is not None and is_our_folder(folder / name):
        file = folder / f"{name}.py"
        spec = None
        if file.is_file():
            spec = importlib.util.spec_from_file_location(name, file, loader=SourceFileLoader(name, str(file)))
    if spec is not None and spec.loader is None and _known_elsewhere(name):
        return None
    return spec


def _is_ours(rest: list[str]) -> bool:
    """Whether this package has the module zeroskip.<rest>."""
    path = PACKAGE.joinpath(*rest)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def is_our_folder(path: Path) -> bool:
    """Whether this path leads to a folder with zeroskip's own modules."""
    own = (PACKAGE, *(PACKAGE / name for name in ("rtl", "model", "cosim", "fpga")))
    return path.exists() and any(one.exists() and path.samefile(one) for one in own)


def _known_elsewhere(name: str) -> bool:
    """Whether there is a module, or a package with an __init__.py, of this name outside of the user's folder."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module that was not imported from anywhere, as __main__
        return True
    return spec is not None and spec.origin is not None
