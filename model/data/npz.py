"""Reader of the user's own data: one .npz file, as numpy.savez writes it."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from zeroskip.model.data.labels import as_labels

INPUT_KEYS = ("inputs", "images", "x", "X", "data")
LABEL_KEYS = ("labels", "targets", "y", "Y")


def load_npz(path: Path, *, labels_required: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs as float32 (n, ...), without scaling, and labels as int64 (n,) or None.

    Nothing is unpickled. Raises FileNotFoundError, or ValueError with the file, the key, the rule and the value.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is not a file")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: must be an .npz file as numpy.savez writes it, but is not a zip archive")
    try:
        with np.load(path, allow_pickle=False) as archive:
            inputs = _inputs(path, archive)
            labels = _labels(path, archive, len(inputs), required=labels_required)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path}: must be a complete .npz file, but: {error}") from error
    return inputs, labels


def labels_field(path: Path) -> str:
    """What errors call the labels of a file: "data.npz: 'y'"."""
    with np.load(path, allow_pickle=False) as archive:
        return f"{path}: '{_find(path, archive, LABEL_KEYS) or LABEL_KEYS[0]}'"


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, by name. Nothing is unpickled. Raises FileNotFoundError, or ValueError with the
    path."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is not a file")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: must be a complete .npz file as numpy.savez writes it, but is not a zip archive")
    try:
        with np.load(path, allow_pickle=False) as archive:
            # In this machine's byte order, whatever machine wrote the file.
            return {name: _native(archive[name]) for name in archive.files}
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path}: must be a complete .npz file of plain arrays, but: {error}") from error


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _inputs(path: Path, archive: np.lib.npyio.NpzFile) -> np.ndarray:
    key = _find(path, archive, INPUT_KEYS)
    if key is None:
        raise ValueError(_missing(path, archive, INPUT_KEYS))
    values = _array(path, archive, key)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{path}: '{key}' must hold real numbers, not {values.dtype}")
    if values.ndim < 2:
        raise ValueError(f"{path}: '{key}' must have the shape (samples, ...), not {values.shape}")
    if values.size == 0:
        raise ValueError(f"{path}: '{key}' must hold at least one sample and value, not the shape {values.shape}")
    # Values beyond float32 become infinite and are reported below.
    with np.errstate(over="ignore"):
        inputs = values.astype(np.float32)
    wrong = ~np.isfinite(inputs)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{path}: '{key}' must be finite in float32, not {values[where]} at {where}")
    return inputs


def _labels(path: Path, archive: np.lib.npyio.NpzFile, samples: int, *, required: bool) -> np.ndarray | None:
    key = _find(path, archive, LABEL_KEYS)
    if key is None:
        if required:
            raise ValueError(_missing(path, archive, LABEL_KEYS))
        return None
    return as_labels(f"{path}: '{key}'", _array(path, archive, key), samples)


def _find(path: Path, archive: np.lib.npyio.NpzFile, names: tuple[str, ...]) -> str | None:
    found = [name for name in names if name in archive.files]
    if len(found) > 1:
        raise ValueError(f"{path}: '{found[0]}' and '{found[1]}' mean the same; keep only one of them")
    return found[0] if found else None


def _array(path: Path, archive: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    try:
        return archive[key]
    except ValueError as error:
        # An array of objects, which would need pickle, or a damaged header.
        raise ValueError(f"{path}: '{key}' must be a plain array of numbers, but: {error}") from error


def _missing(path: Path, archive: np.lib.npyio.NpzFile, names: tuple[str, ...]) -> str:
    others = f" (or {', '.join(names[1:])})"
    return f"{path}: must have the key '{names[0]}'{others}, but has {', '.join(archive.files) or 'no keys'}"
