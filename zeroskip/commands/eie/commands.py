"""The commands that only the EIE array has."""

from __future__ import annotations

from zeroskip.commands.eie.bench import bench_command
from zeroskip.commands.eie.bench_search import bench_search_command
from zeroskip.commands.eie.bench_sharing import bench_sharing_command
from zeroskip.commands.eie.layer import layer_command
from zeroskip.commands.eie.sweep import sweep_command

COMMANDS = {"layer": layer_command}
"""By name: `zeroskip layer`."""

IN_GROUPS = {
    ("bench", "eie"): bench_command,
    ("bench", "search"): bench_search_command,
    ("bench", "sharing"): bench_sharing_command,
    ("sweep", "eie"): sweep_command,
}
"""By group and name: `zeroskip bench eie`."""
