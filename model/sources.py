"""The source files that a module depends on: what caches and journals are keyed by."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
"""The folder of the package `zeroskip`."""

_NAME = __name__.partition(".")[0]


@cache
def import_closure(*modules: str, without: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """The files of this package that `modules` (dotted names) import, directly or through other modules, sorted.

    Imports inside functions count too. Imports under `if TYPE_CHECKING` do not: they never run. The `__init__` of every
    package around a module counts, but not that of `zeroskip` itself, which only exports the public API. Modules named
    in `without`, and what only they import, are left out. Modules that the program finds by name while it runs
    (zeroskip.model.cores.load_core) are not seen: name them in `modules`. Nothing is imported or run. Raises
    ModuleNotFoundError for a module that does not exist.
    """
    files: dict[str, Path] = {}
    waiting = [*modules]
    while waiting:
        name = waiting.pop()
        if name in files or name in without or name == _NAME:
            continue
        files[name] = path = _file(name)
        # Importing a module runs the packages around it first.
        waiting.extend(parent for parent in [name.rpartition(".")[0]] if parent)
        waiting.extend(direct_imports(path))
    return tuple(sorted(files.values()))


def closure_hash(*modules: str, without: tuple[str, ...] = ()) -> str:
    """A hash of the names and the contents of the files of `import_closure`."""
    return files_hash(import_closure(*modules, without=without))


def files_hash(files: Iterable[Path]) -> str:
    """A hash of the paths of files in this package, and of their contents."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(PACKAGE).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _file(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise ModuleNotFoundError(f"there is no module {name!r}")


def direct_imports(path: Path) -> set[str]:
    """The modules of this package (dotted names) that the file imports itself; see `import_closure`."""
    names: set[str] = set()
    for node in _running(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.split(".")[0] == _NAME}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == _NAME:
            assert node.module is not None
            names.add(node.module)
            # `from package import module`
            names |= {full for alias in node.names if _is_module(full := f"{node.module}.{alias.name}")}
    return names


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree, without those that only type checkers read."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                yield from _running(other)
        else:
            yield from _running(child)


def _is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
