"""A simulated board with a mapping unit."""

from __future__ import annotations

import functools

from zeroskip.fpga.mapping.linked import LinkedMapper
from zeroskip.fpga.simulation.boards import loaded_board

simulated_board = functools.partial(loaded_board, LinkedMapper)
