"""Arrays of numbers as the bits of wide ports, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_bits(values: NDArray[Any], width: int) -> NDArray[np.uint8]:
    """(rows, count) unsigned numbers as (rows, count * width) bits, the lowest bit of the first number first."""
    rows, count = values.shape
    wide = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    bits = np.unpackbits(wide.view(np.uint8).reshape(rows, count, -1), axis=2, bitorder="little")
    if bits.shape[2] < width:
        bits = np.pad(bits, ((0, 0), (0, 0), (0, width - bits.shape[2])))
    return bits[:, :, :width].reshape(rows, count * width)


def to_numbers(bits: NDArray[np.uint8], width: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The inverse of to_bits, for numbers of 8, 16 or 32 bits."""
    packed = np.packbits(bits.reshape(len(bits), -1, width), axis=2, bitorder="little")
    return np.ascontiguousarray(packed).view(dtype.newbyteorder("<"))[:, :, 0].astype(dtype)


class Words:
    """Words of a struct, filled field by field; each a row of bits, the lowest first."""

    def __init__(self, layout: Any, count: int) -> None:
        self.layout = layout
        self.bits = np.zeros((count, layout.size), np.uint8)

    def put(self, field: str, bits: NDArray[np.uint8]) -> None:
        """Sets a field of all words, or its low bits."""
        offset = self.layout[field].offset
        assert bits.shape[1] <= self.layout[field].width
        self.bits[:, offset : offset + bits.shape[1]] = bits

    def number(self, field: str, values: Any) -> None:
        """Sets a field of all words to numbers, or to one."""
        column = np.broadcast_to(np.asarray(values, np.uint64), len(self.bits)).reshape(-1, 1)
        self.put(field, to_bits(column, self.layout[field].width))

    def to_bytes(self) -> bytes:
        """The words, most significant byte first."""
        return to_bytes(self.bits)


def to_bytes(bits: NDArray[np.uint8]) -> bytes:
    """Words (rows x bits, the lowest first), each in whole bytes, most significant byte first."""
    return np.packbits(bits, axis=1, bitorder="little")[:, ::-1].tobytes()


def from_hexadecimal(words: list[bytes], width: int) -> NDArray[np.uint8]:
    """Words that a simulator wrote, as rows of `width` bits, the lowest first."""
    digits = -(-width // 4)
    text = b"".join(word.zfill(digits + digits % 2) for word in words)
    data = np.frombuffer(bytes.fromhex(text.decode()), np.uint8).reshape(len(words), -1)[:, ::-1]
    return np.unpackbits(data, axis=1, bitorder="little")[:, :width]
