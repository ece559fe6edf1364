"""A user's module by its name, or by the path of its file."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from zeroskip.model.user_code.finder import Loader
from zeroskip.model.user_code.folder import find
from zeroskip.model.user_code.names import is_users, root_name


def import_module(folder: Path, name: str) -> ModuleType | None:
    """The module with this dotted name in the user's `folder`, or None where the folder has none. Exceptions of the
    user's code are passed on.

    Where a file of the user's was changed since it was imported, all of their modules are imported again.
    """
    _prepare(folder)
    return None if find(folder, name) is None else importlib.import_module(f"{root_name(folder)}.{name}")


def import_file(path: Path) -> ModuleType:
    """The module in a file; its import statements look in the file's folder first. Exceptions of the user's code are
    passed on; raises FileNotFoundError where there is no such file."""
    path = path.absolute()
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    _prepare(path.parent, Path.cwd())
    spec = find(path.parent, path.stem)
    if spec is not None and spec.origin == str(path):
        return importlib.import_module(f"{root_name(path.parent)}.{path.stem}")
    # An import statement would not find this file: its name is no identifier (my-net.py), or a package has its name.
    return importlib.import_module(root_name(path))


def _prepare(*folders: Path) -> None:
    importlib.invalidate_caches()
    loaded = [name for name in sys.modules if is_users(name)]
    if any(_changed(sys.modules[name]) for name in loaded):
        for name in loaded:
            del sys.modules[name]
    for folder in map(str, folders):
        # Libraries that import a module by its name, and calls of importlib in the user's code, look here last.
        if folder not in sys.path:
            sys.path.append(folder)


def _changed(module: ModuleType) -> bool:
    loader = module.__loader__
    if not isinstance(loader, Loader):
        return False
    try:
        return Path(loader.path).read_bytes() != loader.source
    except OSError:
        return True
