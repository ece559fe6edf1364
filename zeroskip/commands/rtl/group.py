"""The group `zeroskip rtl`."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.commands.rtl.emit import emit_command

TITLE = "Take the RTL of a core away."
COMMANDS: dict[str, Callable[..., None]] = {"emit": emit_command}
"""By name: `zeroskip rtl emit`."""
