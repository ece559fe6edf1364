"""A simulated board with an N:M tile."""

from __future__ import annotations

import functools

from zeroskip.fpga.mma.linked import LinkedTile
from zeroskip.fpga.simulation.boards import loaded_board

simulated_board = functools.partial(loaded_board, LinkedTile)
