"""Lists of descriptors (zeroskip.rtl.bus.lists) as software puts them into memory."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.geometry import VALUE_BITS
from zeroskip.rtl.bus.lists import DESCRIPTOR_BYTES, DescriptorKind

_KIND_BIT = 28
_TARGETS = 1 << _KIND_BIT
VALUE_BYTES = VALUE_BITS // 8


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What the fields of `descriptor_layout` are; all may be wrong. `kind` is a DescriptorKind or a number."""

    kind: int
    address: int
    length: int
    target: int = 0

    def encoded(self, following: int) -> bytes:
        return struct.pack("<IIII", following, self.address, self.length, self.target | self.kind << _KIND_BIT)


def load(address: int, length: int, target: int) -> Descriptor:
    """Writes so many bytes from memory to the core, from `target` on."""
    return Descriptor(kind=DescriptorKind.LOAD.value, address=address, length=length, target=target)


def image(address: int, values: int) -> Descriptor:
    return Descriptor(kind=DescriptorKind.IMAGE.value, address=address, length=VALUE_BYTES * values)


def result(address: int, values: int) -> Descriptor:
    return Descriptor(kind=DescriptorKind.RESULT.value, address=address, length=VALUE_BYTES * values)


def chained(descriptors: Sequence[Descriptor], places: Sequence[int], *, end: int = 0) -> list[tuple[int, bytes]]:
    """Each descriptor at its place in memory, with the address of the next one; `end` is that behind the last."""
    following = [*places[1:], end]
    return [(place, one.encoded(after)) for one, place, after in zip(descriptors, places, following, strict=True)]


def in_a_row(descriptors: Sequence[Descriptor], first: int) -> bytes:
    """One behind the other, from the address `first` on."""
    places = [first + DESCRIPTOR_BYTES * index for index in range(len(descriptors))]
    return b"".join(data for _, data in chained(descriptors, places))


def overlapped(images: Sequence[Descriptor], results: Sequence[Descriptor]) -> list[Descriptor]:
    """The order in which an image comes in while the one before it runs."""
    order = list(images[:1])
    for index, one in enumerate(results):
        order += [*images[index + 1 : index + 2], one]
    return order


def padded(values: NDArray[np.int16]) -> bytes:
    """Values in memory, up to a whole word."""
    data = values.astype("<i2").tobytes()
    return data + bytes(-len(data) % 4)
