"""How Python imports a user's modules: by a finder for their names, and a loader that runs them."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from zeroskip.model.user_code.folder import find
from zeroskip.model.user_code.names import PREFIX, root_name, root_path


class Finder(MetaPathFinder):
    """Finds the modules of `root_name` and what is in them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{PREFIX}."):
            return None
        root, _, inner = fullname.removeprefix(f"{PREFIX}.").partition(".")
        origin = root_path(f"{PREFIX}.{root}")
        if origin is None:
            return None
        if not inner:
            return _root_spec(fullname, origin)
        # The modules of a package lie where the package says.
        spec = find(origin, inner) if "." not in inner else PathFinder.find_spec(fullname, path)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return spec if spec is None or spec.name == fullname else _renamed(spec, fullname)
        return _spec(fullname, Path(spec.loader.path), origin, spec.submodule_search_locations)


def _root_spec(fullname: str, origin: Path) -> ModuleSpec | None:
    if origin.is_file():
        return _spec(fullname, origin, origin.parent, None)
    spec = ModuleSpec(fullname, None, is_package=True)
    spec.submodule_search_locations = [str(origin)]
    return spec


def _spec(fullname: str, file: Path, folder: Path, inside: list[str] | None) -> ModuleSpec:
    loader = Loader(fullname, str(file), folder)
    spec = importlib.util.spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=inside)
    assert spec is not None
    return spec


def _renamed(spec: ModuleSpec, fullname: str) -> ModuleSpec:
    """The same module under its full name: a folder without an __init__.py, or a compiled module."""
    if spec.loader is None:
        renamed = ModuleSpec(fullname, None, is_package=True)
        renamed.submodule_search_locations = list(spec.submodule_search_locations or [])
        return renamed
    assert spec.origin is not None
    found = importlib.util.spec_from_file_location(fullname, spec.origin)
    assert found is not None
    return found


class Loader(SourceFileLoader):
    """Runs a user's file; import statements in it look in `folder` first. `source` holds the bytes that were run.

    Byte code is not cached: Python compares times in whole seconds, and would run the old code of a file that was
    changed within a second.
    """

    def __init__(self, fullname: str, path: str, folder: Path) -> None:
        super().__init__(fullname, path)
        self.folder = folder
        self.source: bytes | None = None

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        raise OSError("byte code is not cached")

    def get_data(self, path: Any) -> bytes:
        data = super().get_data(path)
        if path == self.path:
            self.source = data
        return data

    def exec_module(self, module: ModuleType) -> None:
        # Python takes the function that runs `import` statements from here, in this file and in all its functions.
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importer(self.folder)}
        super().exec_module(module)


def _importer(folder: Path) -> Any:
    def users_import(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        for place in (folder, Path.cwd()) if level == 0 else ():
            root = root_name(place)
            if f"{root}.{name}" in sys.modules or find(place, name) is not None:
                found = importlib.import_module(f"{root}.{name}")
                if fromlist:
                    return builtins.__import__(found.__name__, globals, locals, fromlist, 0)
                return sys.modules[f"{root}.{name.partition('.')[0]}"]
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    return users_import
