import re
from typing import Any

import pytest
from support.bench import geometry

RULES: list[tuple[dict[str, Any], str]] = [
    ({"pes": 0}, "pes must be a power of two from 1 to 256, not 0"),
    ({"pes": 3}, "pes must be a power of two from 1 to 256, not 3"),
    ({"pes": 512}, "pes must be a power of two from 1 to 256, not 512"),
    ({"index_bits": 1}, "index_bits must be from 2 to 8, not 1"),
    ({"index_bits": 9}, "index_bits must be from 2 to 8, not 9"),
    ({"code_bits": 0}, "code_bits must be from 1 to 8, not 0"),
    ({"code_bits": 9}, "code_bits must be from 1 to 8, not 9"),
    ({"entries_per_word": 6}, "entries_per_word must be a power of two from 1 to 64, not 6"),
    ({"entries_per_word": 128}, "entries_per_word must be a power of two from 1 to 64, not 128"),
    ({"queue_depth": 0}, "queue_depth must be from 1 to 256, not 0"),
    ({"queue_depth": 257}, "queue_depth must be from 1 to 256, not 257"),
    ({"accumulator_bits": 15}, "accumulator_bits must be from 16 to 48, not 15"),
    ({"accumulator_bits": 49}, "accumulator_bits must be from 16 to 48, not 49"),
    ({"product_shift": -1}, "product_shift must be from 0 to 31, not -1"),
    ({"product_shift": 32}, "product_shift must be from 0 to 31, not 32"),
    ({"entry_words": 0}, "entry_words must be from 1 to 16777216, not 0"),
    ({"pointers": 1}, "pointers must be from 2 to 16777216, not 1"),
    ({"activation_rows": 0}, "activation_rows must be from 1 to 65536, not 0"),
    ({"layers": 0}, "layers must be from 1 to 256, not 0"),
    ({"activation_rows": 32}, "activation_rows must be a multiple of 64 at 1 PEs, not 32"),
    ({"pes": 16, "activation_rows": 10}, "activation_rows must be a multiple of 4 at 16 PEs, not 10"),
]


@pytest.mark.parametrize(("sizes", "message"), RULES, ids=[message for _, message in RULES])
def test_sizes_are_checked(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        geometry(**sizes)


@pytest.mark.parametrize("value", [4.0, True, "4", None])
def test_sizes_are_integers(value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(f'pes must be an integer, not {value!r}')}$"):
        geometry(pes=value)
