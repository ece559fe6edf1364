"""Reader of pickles with plain values and numpy arrays. It never runs code from the file."""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np


class _Inert:
    """Stands for a name of numpy while a pickle is read. It does nothing and takes no attributes."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        raise ValueError("a pickle must not change numpy")


class _Dtype(_Inert):
    """Stands for numpy's dtype; only the dtype of bytes is accepted."""

    __slots__ = ()

    def __call__(self, name: object, *_: object) -> "_ByteDtype":
        if name != b"u1":
            # Only strings are shown: in a hostile pickle, other values may be nested so deeply that repr never ends.
            what = repr(name) if isinstance(name, bytes) else type(name).__name__
            raise ValueError(f"arrays must be of 'u1', not {what}")
        return _ByteDtype()


class _ByteDtype:
    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Ignores the byte order and similar fields, which do not matter for bytes."""


class _Array:
    """Stands for an array: it keeps the arguments for numpy until they are checked."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def to_numpy(self) -> np.ndarray:
        """The array. Raises ValueError if its bytes do not fit its shape."""
        match self.state:
            case (int(), tuple(shape), _ByteDtype(), bool(fortran), bytes(content)):
                pass
            case _:
                raise ValueError("an array must have version, shape, dtype, order and bytes")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("the shape of an array must be of integers of at least 0")
        if math.prod(shape) != len(content):
            raise ValueError(f"an array of the shape {shape} must have {math.prod(shape)} bytes, not {len(content)}")
        return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Reconstruct(_Inert):
    __slots__ = ()

    def __call__(self, *_: object) -> _Array:
        return _Array()


# A file never calls numpy itself: these objects only record the arguments.
_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy", "ndarray"): _Inert(),
    ("numpy", "dtype"): _Dtype(),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise ValueError(f"a pickle of plain values must not name {module}.{name}")
        return _KNOWN[module, name]

    def persistent_load(self, pid: object) -> Any:
        raise ValueError("a pickle of plain values must not refer to other files")


def read_plain_pickle(path: Path) -> dict[str, Any]:
    """The dict in a pickle of Python 2 (protocol 2), with text keys. Its values are plain values or uint8 arrays.

    Strings of Python 2 in values are returned as bytes. Raises FileNotFoundError, or ValueError with the path where the
    file is damaged, does not hold a dict, or names anything but numpy's array of bytes: no code from the file is run.
    """
    try:
        with path.open("rb") as file:
            found = _Unpickler(file, encoding="bytes").load()
        if not isinstance(found, dict):
            raise ValueError(f"the content must be a dict, not {type(found).__name__}")
        return {_text(key): value.to_numpy() if isinstance(value, _Array) else value for key, value in found.items()}
    except FileNotFoundError:
        raise
    # A damaged pickle can raise anything, as opcodes do not check the values on the stack.
    except Exception as error:
        raise ValueError(f"{path}: must be a complete pickle of plain values, but: {error}") from error


def _text(key: object) -> str:
    if not isinstance(key, bytes | str):
        raise ValueError(f"keys must be strings, not {type(key).__name__}")
    return key.decode("ascii") if isinstance(key, bytes) else key
