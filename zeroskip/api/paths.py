"""Checks of paths before the work, not after it. Imports nothing heavy."""

from __future__ import annotations

import functools
import inspect
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from zeroskip.model.temporary import reserved

Given = ParamSpec("Given")
Result = TypeVar("Result")


def _nothing(path: Path) -> Iterable[Path]:
    return ()


def reserves(
    *names: str, beside: Callable[[Path], Iterable[Path]] = _nothing
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """A function that writes the files given by its arguments `names`, some of which may be None, and the files
    `beside` each of them: while it runs, other runs cannot write them. Raises OSError if another run is writing one of
    them."""

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def run(*given: Given.args, **named: Given.kwargs) -> Result:
            arguments = signature.bind(*given, **named).arguments
            paths = [path for name in names if (path := optional_path(arguments.get(name))) is not None]
            with reserved(*paths, *(other for path in paths for other in beside(path))):
                return function(*given, **named)

        return run

    return decorate


def require_writable(path: Path, *sources: Path, suffix: str) -> None:
    """Makes the folder of a file to be written. Raises OSError if the file could not be written later, is one of
    `sources`, which are read, or has the name of another kind of file than those with `suffix`: it may end in that or
    in nothing. A file of another kind, such as weights in x.st or x.pt, is not lost to a wrong name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What os.access() says to root is not true of every file system.
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{path} cannot be written: its folder {path.parent} takes no files ({reason})") from error
    if path.is_dir():
        raise OSError(f"{path} cannot be written: it is a folder")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} cannot be written: it is a device or a pipe; name a file")
    if path.resolve() in [source.resolve() for source in sources]:
        raise OSError(f"{path} cannot be written: it is also an input; choose another output")
    if path.suffix not in ("", suffix):
        raise OSError(f"{path} cannot be written: files of this kind must not end in {path.suffix}; name it *{suffix}")


@contextmanager
def only_with_result(*files: Path) -> Iterator[None]:
    """A failure in the block removes the folders of `files` again that were made in it, where they are empty."""
    new = {parent for file in files for parent in file.absolute().parents if not parent.exists()}
    try:
        yield
    except BaseException:
        for folder in sorted(new, key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        raise


def require_json(path: Path) -> None:
    """Raises ValueError unless a file to be written is named as JSON: no network, weights or data are overwritten."""
    if path.suffix != ".json":
        raise ValueError(f"output must end in .json, not {path.suffix!r}: {path}")


def optional_path(path: Path | str | None) -> Path | None:
    """A path that a caller may give as text, or leave out."""
    return None if path is None else Path(path)
