"""The commands that only the N:M tile has."""

from __future__ import annotations

from zeroskip.commands.mma.bench import bench_command
from zeroskip.commands.mma.product import product_command

COMMANDS = {"mma": product_command}
"""By name: `zeroskip mma`."""

IN_GROUPS = {("bench", "mma"): bench_command}
"""By group and name: `zeroskip bench mma`."""
