"""Pickles as Python 2 wrote those of CIFAR-10, opcode by opcode: Python 3 writes other ones."""

import struct

import numpy as np


def string(text: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(text)) + text


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def integers(values: list[int]) -> bytes:
    return b"](" + b"".join(map(integer, values)) + b"e"


def array(values: np.ndarray, *, dtype: bytes = b"u1", shape: tuple[int, ...] | None = None) -> bytes:
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + integer(0) + b"\x85" + string(b"b") + b"\x87R"
    kind = b"cnumpy\ndtype\n" + string(dtype) + integer(0) + integer(1) + b"\x87R"
    kind += b"(" + integer(3) + string(b"|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    sizes = b"(" + b"".join(map(integer, values.shape if shape is None else shape)) + b"t"
    fortran = b"\x88" if values.flags.f_contiguous and not values.flags.c_contiguous else b"\x89"
    content = string(values.tobytes(order="A"))
    return made + b"(" + integer(1) + sizes + kind + fortran + content + b"tb"


def pickled(items: dict[bytes, bytes]) -> bytes:
    """A dict whose values are pickled already."""
    return b"\x80\x02}(" + b"".join(string(key) + value for key, value in items.items()) + b"u."
