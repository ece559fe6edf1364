"""The core of a board in the commands that take a network's file, or none."""

from __future__ import annotations

from pathlib import Path

from zeroskip.api.simulate import core_of
from zeroskip.commands.core_options import CoreOptions
from zeroskip.model.cores import CORES, UNITS


def chosen_core(core: str | None, network: Path | None, cores: CoreOptions) -> str:
    """The core that the user means: `core`, or that of the file `network`.

    Raises ValueError where there is neither, where they differ, where a core that runs no networks is given one, and
    for an option of another core.
    """
    if core in UNITS:
        if network is not None:
            raise ValueError(f"--network means nothing with --core {core}, which runs no networks")
        cores.require_for(core, f"--core {core}")
        return core
    if network is None:
        raise ValueError(f"--network must be given, a network from `zeroskip compile`, or --core {' or '.join(UNITS)}")
    found = core_of(network)
    if core not in (None, found):
        raise ValueError(
            f"core of {network} must be {core}, not {found}: compile the network with `zeroskip compile --core "
            f"{core}`, or leave out --core"
        )
    cores.require_for(found, f"a network for the {CORES[found].title}")
    return found
