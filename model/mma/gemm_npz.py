"""Matrix products in raw bits, from an NPZ file made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.data.npz import read_arrays
from zeroskip.model.mma import format as nm
from zeroskip.model.mma.gemm import Operand, Product, check_product, dense_operand
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.model.mma.layouts import from_linear
from zeroskip.model.mma.numerics import check_bits
from zeroskip.model.network.pattern import Pattern

STRINGS = ("dtype", "out", "generation")
MATRICES = ("a", "values", "meta", "b", "c")


@dataclass(frozen=True, kw_only=True, eq=False)
class GemmFile:
    """Independent products of one size, and a tile that computes them; `batched` where the file has a batch of them,
    one otherwise."""

    products: list[Product]
    batched: bool
    geometry: TileGeometry


def load_gemm(path: Path, *, m: int, n: int, check: Literal["strict", "relaxed"], illegal: bool) -> GemmFile:
    """Reads and checks a product: `a` (M x K), or `values` (M x kept) and `meta`, the metadata of each row in the
    linear layout (words of any width, zeroskip.model.mma.layouts); `b`, `c`, and the strings `dtype`, `out` and
    `generation`, and `pattern` where it is not NVIDIA's for the format (2:4, 1:2 for tf32, 4:8 pairs for int4).

    Or a batch of independent products: all matrices have one more axis, the first, of the same length. Dot products
    are matrices of one row and one column.

    Codes that `check` forbids are an error unless `illegal`. Nothing is ever unpickled. Raises FileNotFoundError, or
    ValueError naming file, key, rule and value.
    """
    arrays = read_arrays(path)
    try:
        strings = {name: _string(arrays, name) for name in STRINGS}
        fields: dict[str, Any] = {}
        if "pattern" in arrays:
            pattern = Pattern.parse(_string(arrays, "pattern"))
            fields = {"keep": pattern.keep, "group": pattern.group, "pair": pattern.pair}
        geometry = mode_geometry(**strings, m=m, n=n, check=check, **fields)
        batched = _array(arrays, "c").ndim == 3
        items = _items(arrays) if batched else {"": arrays}
        products = [_product(place, item, geometry, illegal) for place, item in items.items()]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return GemmFile(products=products, batched=batched, geometry=geometry)


def _items(arrays: dict[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    """The products of a batch, by their place in it."""
    matrices = {name: array for name, array in arrays.items() if name in MATRICES}
    shapes = {name: array.shape for name, array in matrices.items()}
    if any(len(shape) != 3 for shape in shapes.values()) or len({shape[0] for shape in shapes.values()}) != 1:
        raise ValueError(f"all matrices of a batch must be batch x rows x columns of the same batch, not {shapes}")
    batch = len(arrays["c"])
    if not batch:
        raise ValueError("c must have at least one product in its batch, not 0")
    return {f"product {i}: ": {name: array[i] for name, array in matrices.items()} for i in range(batch)}


def _product(place: str, arrays: dict[str, NDArray[Any]], geometry: TileGeometry, illegal: bool) -> Product:
    try:
        b, c = (_array(arrays, name) for name in ("b", "c"))
        operand = _operand(arrays, b, geometry, illegal)
        check_product(operand, b, c, geometry)
    except ValueError as error:
        raise ValueError(f"{place}{error}") from error
    return operand, b, c


def _string(arrays: dict[str, NDArray[Any]], name: str) -> str:
    value = _array(arrays, name)
    if value.dtype.kind != "U" or value.shape != ():
        raise ValueError(f"'{name}' must be a string, not {value.dtype} of {value.shape}")
    return str(value)


def _array(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in arrays:
        raise ValueError(f"must have the key '{name}', but has {', '.join(arrays) or 'no keys'}")
    return arrays[name]


def _operand(arrays: dict[str, NDArray[Any]], b: NDArray[Any], geometry: TileGeometry, illegal: bool) -> Operand:
    if "a" in arrays:
        if "values" in arrays or "meta" in arrays:
            raise ValueError("must have either 'a' or 'values' and 'meta', not both")
        check_bits("a", arrays["a"], geometry.dtype)
        if arrays["a"].ndim != 2 or 0 in arrays["a"].shape:
            raise ValueError(f"a must be a matrix that is not empty, not {arrays['a'].shape}")
        return dense_operand(arrays["a"], geometry.pattern)
    if "values" not in arrays and "meta" not in arrays:
        raise ValueError(f"must have the key 'a', or 'values' and 'meta', but has {', '.join(arrays)}")
    values, meta = _array(arrays, "values"), _array(arrays, "meta")
    if meta.ndim != 2 or values.ndim != 2 or len(meta) != len(values) or meta.dtype.kind not in "iu":
        raise ValueError(
            "'values' and 'meta' must have a row each for every row of A, 'meta' of integers, "
            f"not {values.dtype} of {values.shape} and {meta.dtype} of {meta.shape}"
        )
    groups = -(-b.shape[0] // geometry.group) if b.ndim else 0
    # As little-endian bytes, the width of the words does not matter. Longer words have more padding.
    words = np.ascontiguousarray(meta).view(np.uint8)
    needed = -(-groups * geometry.pattern.code_bits // 8)
    if not needed <= words.shape[1] < needed + meta.dtype.itemsize:
        raise ValueError(
            f"'meta' must have {-(-needed // meta.dtype.itemsize)} words of {meta.dtype} a row for {groups} groups, "
            f"not {meta.shape[1]}"
        )
    codes = from_linear(words[:, :needed], geometry.pattern, groups)
    wrong = nm.illegal(codes, geometry.pattern, geometry.check)
    if wrong.any() and not illegal:
        row, group = (int(i) for i in np.argwhere(wrong)[0])
        rule = "increase" if geometry.check == "strict" else "differ"
        raise ValueError(
            f"'meta' must hold codes whose indices {rule} ({geometry.check}), not {codes[row, group]:#06b} "
            f"in row {row}, group {group}"
        )
    return Operand(values=values, codes=codes, columns=len(b), pattern=geometry.pattern)
