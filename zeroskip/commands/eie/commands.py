"""The commands of the EIE array alone."""

from __future__ import annotations

from zeroskip.commands.eie.bench import bench_command
from zeroskip.commands.eie.layer import layer_command
from zeroskip.commands.eie.sweep import sweep_command

COMMANDS = {"layer": layer_command}
"""By name: `zeroskip layer`."""

IN_GROUPS = {"bench": bench_command, "sweep": sweep_command}
"""By the group that they belong to, where they have the core's name: `zeroskip bench eie`."""
