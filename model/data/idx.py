"""Reader of IDX files, the format of MNIST and similar data sets (yann.lecun.com/exdb/mnist)."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

# Byte 2 of the header names the element type; all of them are big-endian.
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file, plain or gzipped, in native byte order.

        00 00 | type | dimensions | size 0 (4 bytes, big-endian) | size 1 | ... | elements

    Raises ValueError with the file, the field, the rule and the value where the file is damaged or incomplete, and
    FileNotFoundError where there is none.
    """
    content = _unzipped(path)
    if len(content) < 4:
        raise ValueError(f"{path}: the header must have at least 4 bytes, not {len(content)}")
    if content[:2] != b"\0\0":
        raise ValueError(f"{path}: the first two bytes must be 00 00, not {content[:2].hex(' ')}")
    if content[2] not in DTYPES:
        known = ", ".join(f"{code:02x}" for code in DTYPES)
        raise ValueError(f"{path}: the element type must be one of {known}, not {content[2]:02x}")
    dimensions = content[3]
    if dimensions == 0:
        raise ValueError(f"{path}: the number of dimensions must be at least 1, not 0")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{path}: the header of {dimensions} dimensions must have {start} bytes, not {len(content)}")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    dtype = np.dtype(DTYPES[content[2]])
    expected = math.prod(shape) * dtype.itemsize
    if len(content) - start != expected:
        raise ValueError(
            f"{path}: the elements of shape {shape} must take {expected} bytes, not {len(content) - start}"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _unzipped(path: Path) -> bytes:
    content = path.read_bytes()
    # Recognised by the first bytes, not by the name: the first byte of an IDX file is zero.
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: the gzip stream must be complete, but: {error}") from error
