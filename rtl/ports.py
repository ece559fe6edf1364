"""Signatures of the ports that memories and register files have.

Directions are those of the user; a memory declares `In(...)`. An unconnected port does nothing, unlike those of
amaranth.lib.memory, which enable a read port that nothing drives.
"""

from __future__ import annotations

from typing import Any

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for


def write_port(depth: int, shape: Any) -> wiring.Signature:
    """Writes one of `depth` words at the end of each cycle in which `en` is high.

    Members
    -------
    en : 1, out
        Writes in this cycle.
    addr : bits_for(depth), out
        Number of the word.
    data : shape, out
        What to write.
    """
    return wiring.Signature({"en": Out(1), "addr": Out(bits_for(depth)), "data": Out(shape)})


def read_port(depth: int, shape: Any) -> wiring.Signature:
    """Reads one of `depth` words; `data` shows it in the next cycle, and keeps it while `en` is low.

    Members
    -------
    en : 1, out
        Reads in this cycle.
    addr : bits_for(depth), out
        Number of the word.
    data : shape, in
        The word that was read last.
    """
    return wiring.Signature({"en": Out(1), "addr": Out(bits_for(depth)), "data": In(shape)})


def lookup_port(depth: int, shape: Any) -> wiring.Signature:
    """Reads one of `depth` words in the same cycle.

    Members
    -------
    addr : bits_for(depth), out
        Number of the word.
    data : shape, in
        The word.
    """
    return wiring.Signature({"addr": Out(bits_for(depth)), "data": In(shape)})
