"""A board's top as RTLIL, with the constraints of its pins and its clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable

from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.registers import OwnFlipFlops
from zeroskip.fpga.boards.sram import LutRams, SinglePortRams, WordStoresInBlockRam

TOP = "top"

CONSTRAINTS = {"ecp5": "lpf", "ice40": "pcf", "gowin": "cst"}


@dataclass(frozen=True, kw_only=True)
class Design:
    """`rtlil` is the design, with module TOP at its top, and `constraints` the file for place and route."""

    board: Board
    rtlil: str
    constraints: str


class _WithoutTools:
    """A platform that is only asked for files: no tool need be installed."""

    required_tools: tuple[str, ...] = ()


def design(board: Board, top: Elaboratable, *, single_port_rams: bool = True) -> Design:
    """The files of `top` on `board`. The same design gives the same text, wherever the package lies. With
    `single_port_rams`, wide memories are of that kind where the board has them; they must not be read while they are
    written."""
    bases: list[Any] = [_WithoutTools]
    if board.family == "ice40":
        bases.append(WordStoresInBlockRam)
    if single_port_rams and board.device.single_port_rams:
        bases.append(SinglePortRams)
    if board.family == "ecp5":
        bases += [LutRams, OwnFlipFlops]
    plan = board.make_platform(tuple(bases)).prepare(top, TOP, emit_src=False)
    return Design(
        board=board, rtlil=plan.files[f"{TOP}.il"], constraints=plan.files[f"{TOP}.{CONSTRAINTS[board.family]}"]
    )
