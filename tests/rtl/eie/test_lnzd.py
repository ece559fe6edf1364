# amaranth: UnusedElaboratable=no
# (nothing simulates the components of which only the construction is tested)
import re
from collections.abc import Iterable
from random import Random

import pytest
from amaranth.hdl import Fragment
from support.bench import evaluate

from zeroskip.rtl.eie.lnzd import Lnzd


def rtl_lnzd(width: int, flags: Iterable[int]) -> list[tuple[int, ...]]:
    """`any`, `several`, `index` and `rest` of each."""
    return evaluate(Lnzd(width), ({"i": value} for value in flags), "any", "several", "index", "rest")


def expected(flags: Iterable[int]) -> list[tuple[int, ...]]:
    def one(value: int) -> tuple[int, ...]:
        lowest = value & -value
        return int(value != 0), int(value.bit_count() > 1), max(lowest.bit_length() - 1, 0), value ^ lowest

    return [one(value) for value in flags]


@pytest.mark.parametrize("width", [2, 3, 4, 5, 16])
def test_all_flags(width: int) -> None:
    assert rtl_lnzd(width, range(1 << width)) == expected(range(1 << width))


@pytest.mark.parametrize("width", [17, 64, 128, 256])
def test_flags_at_random(width: int) -> None:
    random = Random(width)
    flags = [0, *(1 << bit for bit in range(width)), *(-1 % (1 << width) << bit for bit in range(width))]
    flags += [random.getrandbits(width) << random.randrange(width) for _ in range(200)]
    flags = [value % (1 << width) for value in flags]
    assert rtl_lnzd(width, flags) == expected(flags)


@pytest.mark.parametrize(("width", "nodes"), [(2, 1), (4, 1), (5, 3), (16, 5), (64, 21), (256, 85)])
def test_nodes(width: int, nodes: int) -> None:
    assert len(Fragment.get(Lnzd(width), None).subfragments) == nodes


@pytest.mark.parametrize("width", [1, 0, -4])
def test_width_is_checked(width: int) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'width must be at least 2, not {width}')}$"):
        Lnzd(width)
