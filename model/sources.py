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
def import_closure(*modules: str) -> tuple[Path, ...]:
    """The files of this package that `modules` (dotted names) import, directly or through others, sorted.

    Imports count wherever they stand, inside functions too, but for those under `if TYPE_CHECKING`, which never run.
    Modules that are found by name while the program runs (zeroskip.model.cores.load_core) are not seen: give them
    yourself. Nothing is imported or run. Raises ModuleNotFoundError for a module that does not exist.
    """
    files: dict[str, Path] = {}
    waiting = [*modules]
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        files[name] = path = _file(name)
        # Importing a module runs the packages around it first.
        waiting.extend(parent for parent in [name.rpartition(".")[0]] if parent)
        waiting.extend(_imports(path))
    return tuple(sorted(files.values()))


def closure_hash(*modules: str) -> str:
    """A hash of the names and the contents of `import_closure(*modules)`."""
    return files_hash(import_closure(*modules))


def files_hash(files: Iterable[Path]) -> str:
    """A hash of files of this package: their places in it, and what stands in them."""
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


def _imports(path: Path) -> set[str]:
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
    """The nodes of a tree, without what only type checkers see."""
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
