"""A user's module by its name, or by the path of its file."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from zeroskip.model.user_code.finder import Loader
from zeroskip.model.user_code.folder import find
from zeroskip.model.user_code.names import root_name


def import_module(folder: Path, name: str) -> ModuleType | None:
    """The module with this dotted name in the user's `folder`, or None where the folder has none. Exceptions of the
    user's code are passed on.

    Where a file was changed since it was imported, all modules of the folder are imported again.
    """
    importlib.invalidate_caches()
    root = root_name(folder)
    _forget_changed(root)
    # Libraries that import a module by its name, and calls of importlib in the user's code, look in the folder last.
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return None if find(folder, name) is None else importlib.import_module(f"{root}.{name}")


def import_file(path: Path) -> ModuleType:
    """The module in a file; its import statements look in the file's folder first. Exceptions of the user's code are
    passed on; raises FileNotFoundError where there is no such file."""
    path = path.absolute()
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    importlib.invalidate_caches()
    spec = find(path.parent, path.stem)
    if spec is not None and spec.origin == str(path) and (module := import_module(path.parent, path.stem)) is not None:
        return module
    # An import statement would not find this file: its name is no identifier (my-net.py), or a package has its name.
    name = root_name(path)
    _forget_changed(name)
    return importlib.import_module(name)


def _forget_changed(root: str) -> None:
    loaded = {name: module for name, module in sys.modules.items() if name == root or name.startswith(f"{root}.")}
    if any(_changed(module) for module in loaded.values()):
        for name in loaded:
            del sys.modules[name]


def _changed(module: ModuleType) -> bool:
    loader = module.__loader__
    if not isinstance(loader, Loader):
        return False
    try:
        return Path(loader.path).read_bytes() != loader.source
    except OSError:
        return True
