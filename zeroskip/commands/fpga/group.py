"""The group `zeroskip fpga`."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.commands.fpga.blocks import blocks_command
from zeroskip.commands.fpga.build import build_command
from zeroskip.commands.fpga.flash import flash_command
from zeroskip.commands.fpga.ppa import ppa_command
from zeroskip.commands.fpga.run import run_command

TITLE = "Build bitstreams for boards, and talk to the boards."
COMMANDS: dict[str, Callable[..., None]] = {
    "build": build_command,
    "flash": flash_command,
    "run": run_command,
    "blocks": blocks_command,
    "ppa": ppa_command,
}
"""By name: `zeroskip fpga build`."""
