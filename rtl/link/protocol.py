"""The host protocol: commands, errors and the places of fields in a frame, as hardware and host use them.

A frame is COBS(content, CRC-32 of the content) and a zero. All numbers are little-endian:

    request  | command | number | fields of the command ...
    answer   | command | number | results ...
    refusal  | 255     | number | error | expected number

    IDENTIFY   -                                                         answered by text (zeroskip.rtl.link.boot)
    WRITE      bytes of a word (1), target (2), address (4), words ...   answered by nothing more
    READ       count (2), address (4)                                    answered by `count` words
    RUN        limit in cycles (4), start word                           answered by flags (1), cycles (4)
    STATUS     -                                                         answered by state (1), cycles (4), refused (2)

Bit 0 of the state: the core is idle. Bit 1: since the FPGA was configured, the host has written words that all later
runs use, such as weights.

A request is obeyed only if its number is the expected one: one more than that of the last request that was obeyed,
modulo 256. IDENTIFY takes any number. So when a frame is lost, no later one has an effect until the host begins again.
"""

from __future__ import annotations

import enum

PROTOCOL = 1
"""Version of this protocol."""

CRC_BYTES = 4

REFUSED = 255
"""In place of the command, in the answer to a request that had no effect."""

NUMBERS = 256
"""Request numbers count modulo this."""


class Command(enum.IntEnum):
    IDENTIFY = 1
    WRITE = 2
    READ = 3
    RUN = 4
    STATUS = 5


class LinkError(enum.IntEnum):
    """Why a frame was refused. Up to LINE the frame itself was damaged, and its number is unknown (0)."""

    CRC = 1
    """The checksum does not match."""
    CUT = 2
    """It ended inside a block of COBS."""
    SHORT = 3
    """It is too short for a command, a number and a checksum."""
    LONG = 4
    """It is longer than the board accepts."""
    LINE = 5
    """The line reported an error while it came: a wrong stop bit, a break, or a byte that found no room."""
    COMMAND = 6
    """There is no such command."""
    LENGTH = 7
    """Its length does not fit its command, or its words."""
    FIELD = 8
    """A field has a value that this board cannot have."""
    NUMBER = 9
    """It does not have the expected number: a request before it was lost or refused."""
    BUSY = 10
    """The core has not come to the end of an earlier run."""
    LIMIT = 11
    """The run was not done after its limit of cycles."""


HEAD = 2
"""Bytes of command and number."""

FIELDS = {Command.IDENTIFY: 0, Command.WRITE: 7, Command.READ: 6, Command.RUN: 4, Command.STATUS: 0}
"""Bytes of each command's fields, before words and start word."""

ANSWERS = {Command.WRITE: 0, Command.RUN: 5, Command.STATUS: 7}
"""Bytes of the answers whose length the command alone tells, behind command and number."""

RECORD_HEAD = 2
"""Bytes in front of a request in the memories that hold requests: its length, or REFUSED_RECORD | error."""

MOST_OF_RECORD = (1 << 15) - 1
"""The most bytes of a request in such a memory."""

REFUSED_RECORD = 1 << 15
