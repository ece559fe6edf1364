"""The port between the link and a core: all that the link knows of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

FIELD_BITS = {"target": 16, "address": 32, "read": 32}
"""The most bits that the protocol's fields have for them."""

WIDEST = 2040
"""The most bits of a word, a start word or a result: 255 bytes."""


@dataclass(frozen=True, kw_only=True)
class CoreSizes:
    """Widths of a core's port in bits, each at least 1. ValueError for others."""

    target: int
    """Which memory a word goes to; at most 16."""
    address: int
    """Which word of it; at most 32."""
    data: int
    """The widest word of all memories."""
    start: int
    """What a start takes."""
    read: int
    """The number of a result; at most 32."""
    result: int
    """A result."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, most = getattr(self, field.name), FIELD_BITS.get(field.name, WIDEST)
            if not 1 <= value <= most:
                raise ValueError(f"{field.name} must be from 1 to {most} bits, not {value}")

    @property
    def data_bytes(self) -> int:
        return -(-self.data // 8)

    @property
    def start_bytes(self) -> int:
        return -(-self.start // 8)

    @property
    def result_bytes(self) -> int:
        return -(-self.result // 8)


def load_layout(sizes: CoreSizes) -> data.StructLayout:
    """A word for a memory of the core."""
    return data.StructLayout({"target": sizes.target, "address": sizes.address, "data": sizes.data})


def core_port(sizes: CoreSizes) -> wiring.Signature:
    """A core, as seen by the link.

    Members
    -------
    load : stream of load_layout, out
        Words for the memories.
    lasting : 1, in
        High while the word at `load` is one that all later runs use: a weight, not an input.
    start : stream of `start` bits, out
        Starts a run.
    idle : 1, in
        High while no run is under way.
    done : 1, in
        High for one cycle when a run has ended.
    flags : 8, in
        What a core says about its last run; zero if all is well.
    read : stream of `read` bits, out
        Numbers of results.
    result : stream of `result` bits, in
        These results, in order.
    """
    return wiring.Signature(
        {
            "load": Out(stream.Signature(load_layout(sizes))),
            "lasting": In(1),
            "start": Out(stream.Signature(sizes.start)),
            "idle": In(1),
            "done": In(1),
            "flags": In(8),
            "read": Out(stream.Signature(sizes.read)),
            "result": In(stream.Signature(sizes.result)),
        }
    )
