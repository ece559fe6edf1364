"""Who a board is: the text with which it answers, and whether it is the one for a network."""

from __future__ import annotations

import dataclasses
from typing import Any

from zeroskip.fpga.host.host import BoardError
from zeroskip.rtl.link.boot import boot_text
from zeroskip.rtl.link.protocol import PROTOCOL
from zeroskip.rtl.link.receiver import longest_content

BUFFER = 4096
"""Bytes of a link's buffer where nothing else is asked for: 13 ms of a line of 3 Mbaud."""

DIGEST_DIGITS = 64


def board_text(
    core: str,
    geometry: Any,
    layout: str,
    *,
    buffer: int,
    clock: int | None,
    carrier: str = "uart",
    network: str | None = None,
) -> bytes:
    """The text of a board with a `core` of `geometry`. `layout` is a digest of how its memories are laid out, `buffer`
    the bytes of its link's buffer, `clock` its frequency in Hz, `carrier` what carries the link ("uart" or "usb"),
    `network` the digest (DIGEST_DIGITS) of what is inside the bitstream. Whether there is one does not change the
    length."""
    inside = network or ""
    facts = {
        "protocol": PROTOCOL,
        "core": core,
        "layout": layout,
        "geometry": dataclasses.asdict(geometry),
        "longest": longest_content(buffer),
        "buffer": buffer,
        "clock": clock,
        "network": inside,
    }
    if carrier != "uart":
        facts["carrier"] = carrier
    # JSON may end with spaces.
    return boot_text(facts) + b" " * (DIGEST_DIGITS - len(inside))


def require_board(
    name: str, facts: dict[str, Any], *, core: str, geometry: Any, layout: str, needed_for: str | None = None
) -> None:
    """Raises BoardError unless the board `name`, which says `facts` of itself, has that core; the message names what
    differs, and for what a bitstream must be built: by default for a network, which may also have been laid out for
    another board."""
    rebuild = (
        f"build a bitstream for {needed_for or 'this network'} and flash it (zeroskip fpga build, zeroskip fpga flash)"
    )
    if facts.get("core") != core:
        raise BoardError(f"core of {name} must be {core!r}, not {facts.get('core')!r}: {rebuild}")
    board, wanted = facts.get("geometry"), dataclasses.asdict(geometry)
    if not isinstance(board, dict) or set(board) != set(wanted):
        raise BoardError(f"geometry of {name} must have the fields {', '.join(wanted)}, not {board}: {rebuild}")
    if different := [field for field, value in wanted.items() if board[field] != value]:
        listed = ", ".join(f"{field} must be {wanted[field]}, not {board[field]}" for field in different)
        laid_out = (
            "" if needed_for else "run the .zs file that zeroskip fpga build wrote beside the board's bitstream, or "
        )
        raise BoardError(f"geometry of {name}: {listed}: {laid_out}{rebuild}")
    if facts.get("layout") != layout:
        raise BoardError(
            f"{name} was built by another version of zeroskip, which lays memories out otherwise: {rebuild}"
        )
