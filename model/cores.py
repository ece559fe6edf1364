"""The registry of cores: the one place, beside a core's own rooms, that knows its name.

A core has a room in each wing: `zeroskip.model.<name>` (software side, with `core.py`), `zeroskip.cosim.<name>`
(co-simulation, with `driver.py`), `zeroskip.rtl.<name>` and `zeroskip.commands.<name>`. This module imports nothing
heavy, so that a command's `--help` can list the cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroskip.model.core import Core


@dataclass(frozen=True, kw_only=True)
class CoreEntry:
    """What is known of a core before any of its code is imported.

    `title` names it in tables and help, `help` says in half a sentence what it computes with. `costs` are the names of
    the costs, in cycles, that a search can take from it.
    """

    name: str
    title: str
    help: str
    costs: tuple[str, ...]


_ENTRIES = (
    CoreEntry(
        name="eie",
        title="EIE array",
        help="where any weight may be zero and the others share 15 values",
        costs=("eie-cycles",),
    ),
    CoreEntry(
        name="mma",
        title="N:M tile",
        help="a sparse tensor core, where N of every M weights are kept",
        costs=("mma-cycles",),
    ),
)

CORES: dict[str, CoreEntry] = {entry.name: entry for entry in _ENTRIES}
"""The cores by name, in the order in which help and reports list them."""

DEFAULT = _ENTRIES[0].name
"""The core that a command uses where none is named."""


def core_entry(name: str) -> CoreEntry:
    """The entry of a core. Raises ValueError for a name that is not in the registry."""
    if name not in CORES:
        raise ValueError(f"core must be one of {', '.join(CORES)}, not {name!r}")
    return CORES[name]


def core_module(name: str) -> str:
    """The dotted name of the module that holds a core's software side; what it computes depends on the import closure
    of this module (zeroskip.model.sources). Raises ValueError for an unknown name."""
    return f"zeroskip.model.{core_entry(name).name}.core"


def load_core(name: str) -> Core[Any, Any]:
    """The software side of a core, `zeroskip.model.<name>.core.CORE`. Raises ValueError for an unknown name."""
    core: Core[Any, Any] = import_module(core_module(name)).CORE
    return core


def core_of_cost(cost: str) -> CoreEntry | None:
    """The core that a cost is counted on, by the cost's name; None for costs of no core, such as "macs"."""
    return next((entry for entry in _ENTRIES if cost in entry.costs), None)
