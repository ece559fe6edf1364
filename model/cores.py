"""The registry of cores: the only place, apart from a core's own rooms, that knows its name.

A core has a room in each wing: `zeroskip.model.<name>` (software side, with `core.py`), `zeroskip.cosim.<name>`
(co-simulation, with `driver.py`), `zeroskip.rtl.<name>`, `zeroskip.api.<name>` and `zeroskip.commands.<name>`. This
module imports nothing heavy, so that a command's `--help` can list the cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from zeroskip.model.core import Core, SearchCosts


@dataclass(frozen=True, kw_only=True)
class CoreEntry:
    """What is known of a core before any of its code is imported.

    `title` names it in tables and help, `help` says in half a sentence what it computes with. `costs` are the names of
    the costs, in cycles, that a search can take from it. `stores` are the granularities of pruning ("weights", "nm",
    "channels") whose networks a search takes to be stored in the core's format (cost "bytes"); each has one core.
    """

    name: str
    title: str
    help: str
    costs: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()


_ENTRIES = (
    CoreEntry(
        name="eie",
        title="EIE array",
        help="where any weight may be zero and the others share 15 values",
        costs=("eie-cycles",),
        stores=("weights",),
    ),
    CoreEntry(
        name="mma",
        title="N:M tile",
        help="a sparse tensor core, where N of every M weights are kept",
        costs=("mma-cycles",),
        stores=("nm", "channels"),
    ),
)

CORES: dict[str, CoreEntry] = {entry.name: entry for entry in _ENTRIES}
"""The cores by name, in the order in which help and reports list them."""

UNITS = {"mapping": CoreEntry(name="mapping", title="Mapping unit", help="which finds the maps of sparse convolutions")}
"""The cores that run no networks by name: they have rooms and commands of their own."""

DEFAULT = next(iter(CORES))
"""The core that a command uses where none is named."""


def core_entry(name: str) -> CoreEntry:
    """The entry of a core. Raises ValueError for a name that is not in the registry."""
    if name not in CORES:
        raise ValueError(f"core must be one of {', '.join(CORES)}, not {name!r}")
    return CORES[name]


def load_core(name: str) -> Core[Any, Any]:
    """The software side of a core, `zeroskip.model.<name>.core.CORE`. Raises ValueError for an unknown name."""
    core: Core[Any, Any] = import_module(f"zeroskip.model.{core_entry(name).name}.core").CORE
    return core


def core_of_cost(cost: str) -> CoreEntry | None:
    """The core that a cost is counted on, by the cost's name; None for costs of no core, such as "macs"."""
    return next((entry for entry in CORES.values() if cost in entry.costs), None)


def core_of_storage(granularity: str) -> CoreEntry:
    """The core in whose format searches count the bytes of networks pruned at a granularity: "weights", "nm" or
    "channels"."""
    return next(entry for entry in CORES.values() if granularity in entry.stores)


def costs_module(name: str) -> str:
    """The dotted name of the module with what a core costs in searches; what it computes depends on the import closure
    of this module (zeroskip.model.sources). Raises ValueError for an unknown name."""
    return f"zeroskip.model.{core_entry(name).name}.costs"


def load_costs(name: str) -> SearchCosts:
    """What a core costs in searches, the module `zeroskip.model.<name>.costs`. Only cores with `costs` or `stores` in
    the registry have it. Raises ValueError for an unknown name."""
    return cast("SearchCosts", import_module(costs_module(name)))
