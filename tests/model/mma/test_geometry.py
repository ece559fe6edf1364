"""The geometry of the tile: what follows from it, and which there are none."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import GENERATIONS, OPERANDS, RESULTS, FloatFormat, block_rule
from zeroskip.model.network.pattern import Pattern


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [  # Groups, window, phases.
        ({}, (4, 16, 2)),
        ({"dtype": "tf32", "k": 4, "keep": 1, "group": 2}, (4, 8, 2)),
        ({"dtype": "int4", "k": 16, "keep": 4, "group": 8, "pair": 2}, (4, 32, 2)),
        ({"dtype": "int8", "k": 6, "keep": 2, "group": 8}, (3, 24, 4)),
        ({"dtype": "int8", "k": 3, "keep": 1, "group": 16}, (3, 48, 16)),
        ({"keep": 1, "group": 1}, (8, 8, 1)),
        ({"keep": 4, "group": 4}, (2, 8, 1)),
    ],
)
def test_sizes(sizes: dict[str, Any], expected: tuple[int, int, int]) -> None:
    if sizes.get("dtype", "").startswith("int"):
        sizes = sizes | {"out": "int32"}
    geometry = TileGeometry(**sizes)
    assert (geometry.groups, geometry.window, geometry.phases) == expected
    assert geometry.pattern == Pattern(keep=geometry.keep, group=geometry.group, pair=geometry.pair)
    assert (geometry.operand, geometry.result) == (OPERANDS[geometry.dtype], RESULTS[geometry.out])


@pytest.mark.parametrize(
    "pattern", [(1, 2, 1), (1, 4, 1), (2, 4, 1), (2, 8, 1), (4, 8, 1), (4, 8, 2), (2, 4, 2), (4, 4, 1), (8, 16, 2)]
)
@pytest.mark.parametrize("groups", [1, 3])
def test_codes_reach_the_rows_of_every_phase(pattern: tuple[int, int, int], groups: int) -> None:
    """In phase p, value i multiplies row p * k + i of the window, which stands where the phase's code points."""
    keep, group, pair = pattern
    geometry = TileGeometry(dtype="int8", out="int32", k=groups * keep, keep=keep, group=group, pair=pair)
    assert sorted(geometry.dense_places) == list(range(geometry.window))
    for phase in range(geometry.phases):
        code = geometry.pattern.phase_code(phase) if not geometry.pattern.dense else 0
        for i in range(geometry.k):
            lane, t = divmod(i % keep, pair)
            bits = geometry.pattern.index_bits
            index = code >> 1 & 1 if geometry.pattern.halves else code >> lane * bits & ((1 << bits) - 1)
            if geometry.pattern.dense:
                index = lane
            place = i // keep * group + index * pair + t
            assert geometry.dense_places[place] == phase * geometry.k + i


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("dtype", [name for name, form in OPERANDS.items() if isinstance(form, FloatFormat)])
def test_floats_are_multiplied_block_by_block(generation: str, dtype: str) -> None:
    try:
        products = block_rule(generation, dtype, "fp32").step
    except ValueError:
        with pytest.raises(ValueError, match=f"{dtype}|{generation}"):
            TileGeometry(generation=generation, dtype=dtype)
        return
    for k in range(2, 65, 2):
        if k == products:
            assert TileGeometry(generation=generation, dtype=dtype, k=k).k == products
        else:
            with pytest.raises(ValueError, match=f"k must be {products}, the products that {generation} adds at once"):
                TileGeometry(generation=generation, dtype=dtype, k=k)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"m": 0}, "m must be from 1 to 64, not 0"),
        ({"m": 65}, "m must be from 1 to 64, not 65"),
        ({"n": -1}, "n must be from 1 to 64, not -1"),
        ({"k": 0}, "k must be from 1 to 64, not 0"),
        ({"a_words": 0}, "a_words must be from 1 to 16777216, not 0"),
        ({"b_words": (1 << 24) + 1}, "b_words must be from 1 to 16777216, not 16777217"),
        ({"d_words": 0}, "d_words must be from 1 to 16777216, not 0"),
        ({"check": "none"}, "check must be strict or relaxed, not 'none'"),
        (
            {"generation": "exact"},
            "generation must be one of V100, A100, Ada, H100, B200, H100-mma, H100-wgmma on a tile, not exact",
        ),
        (
            {"generation": "T4"},
            "generation must be one of V100, A100, Ada, H100, B200, H100-mma, H100-wgmma, exact, not 'T4'",
        ),
        ({"dtype": "int8"}, "out must be int32 or int32_sat for int8, not 'fp32'"),
        ({"dtype": "int8", "out": "int32", "k": 7}, r"k must be a multiple of keep \(2\), not 7"),
        ({"keep": 3}, r"keep must be at least 1 and divide group \(4\), not 3"),
        ({"group": 6}, "group must be a power of two from 1 to 16, not 6"),
        ({"keep": 1, "pair": 2}, r"pair must be 1 or 2 and divide keep \(1\)"),
    ],
)
def test_wrong_sizes_are_named(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TileGeometry(**sizes)


@pytest.mark.parametrize("field", dataclasses.fields(TileGeometry), ids=lambda field: field.name)
def test_types_are_checked(field: dataclasses.Field[Any]) -> None:
    text = isinstance(field.default, str)
    message = f"{field.name} must be {'text' if text else 'an integer'}, not "
    wrong: Any
    for wrong in (True, None, 2.0, 4 if text else "4"):
        with pytest.raises(TypeError, match=message):
            TileGeometry(**{field.name: wrong})
