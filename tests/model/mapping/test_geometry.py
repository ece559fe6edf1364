"""Sizes of the mapping unit are checked, each with its rule."""

from typing import Any

import pytest

from zeroskip.model.mapping.geometry import MapperGeometry


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "width must be from 1 to 64, not 0"),
        ({"width": 6}, "width must be a power of two, not 6"),
        ({"width": 128}, "width must be from 1 to 64, not 128"),
        ({"dims": 5}, "dims must be from 1 to 4, not 5"),
        ({"coordinate_bits": 3}, "coordinate_bits must be from 4 to 20, not 3"),
        ({"batch_bits": 0}, "batch_bits must be from 1 to 16, not 0"),
        ({"coordinate_bits": 6, "reach": 17}, "reach must be from 1 to 16, not 17"),
        ({"index_bits": 32}, "index_bits must be from 1 to 31, not 32"),
        ({"words": 3}, "words must be from 4 to 16777216, not 3"),
        ({"offsets": 0}, "offsets must be from 1 to 4096, not 0"),
        ({"dims": 4, "coordinate_bits": 15}, r"batch_bits \+ dims \* coordinate_bits must be at most 62, not 64: use"),
    ],
)
def test_wrong_sizes_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        MapperGeometry(**fields)


@pytest.mark.parametrize("value", [8.0, True, "8"])
def test_sizes_are_integers(value: Any) -> None:
    with pytest.raises(TypeError, match="width must be an integer, not"):
        MapperGeometry(width=value)


def test_a_list_takes_whole_words() -> None:
    geometry = MapperGeometry(width=8)
    assert [geometry.blocks(keys) for keys in (0, 1, 8, 9, 16, 17)] == [1, 1, 1, 2, 2, 3]
