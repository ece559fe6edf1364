"""Where Python looks for the modules of zeroskip and of libraries: not in the user's folder.

`python -m` and `PYTHONPATH=.` put the current folder first. Then a user's `queue.py` would replace the `queue` of
Python's standard library, and their `zeroskip.py` this package. `zeroskip.model.user_code` finds the user's modules
instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder that holds the package `zeroskip`."""


def leave_out_current_folder() -> None:
    """Removes the current folder from `sys.path`."""
    sys.path[:] = [entry for entry in sys.path if not _is_current(entry)]


def child_path() -> list[str]:
    """`sys.path` for processes of zeroskip that do not import the user's modules: without the current folder and every
    folder in which `zeroskip` is another module. The folder of this package comes last."""
    return [*(entry for entry in sys.path if not _is_current(entry) and not _hides(entry)), PARENT]


@contextmanager
def child_environment() -> Iterator[None]:
    """Within the block, new processes find this package, whatever the user's folder contains."""
    before = os.environ.get("PYTHONPATH")
    named = [os.path.abspath(entry) for entry in (before or "").split(os.pathsep)]
    entries = [entry for entry in named if not _is_current(entry) and not _hides(entry)]
    if _is_current(PARENT):
        entries.append(PARENT)
    os.environ["PYTHONPATH"] = os.pathsep.join(entries)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _is_current(entry: str) -> bool:
    return os.path.realpath(entry) == os.path.realpath(os.curdir)


def _hides(entry: str) -> bool:
    """Whether `import zeroskip` would find another module in this folder."""
    package = os.path.join(entry, "zeroskip")
    file = f"{package}.py"
    ours = os.path.realpath(os.path.join(PARENT, "zeroskip"))
    other = os.path.isfile(os.path.join(package, "__init__.py")) and os.path.realpath(package) != ours
    return other or (os.path.isfile(file) and not os.path.isfile(os.path.join(package, "__init__.py")))
