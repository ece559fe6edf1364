"""The commands that only the mapping unit has."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.commands.mapping.layer import mapping_command

COMMANDS = {"mapping": mapping_command}
"""By name: `zeroskip mapping`."""

IN_GROUPS: dict[tuple[str, str], Callable[..., None]] = {}
"""By group and name: none."""
