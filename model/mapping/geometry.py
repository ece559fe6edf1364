"""The geometry of the mapping unit: the one object that rtl, golden, cycles, cosim and fpga all take."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zeroskip.model.bits import bits_for

MAX_KEY_BITS = 62
"""Keys are signed 64-bit integers in software."""

COLUMN_CYCLES = 2
"""A column of comparators compares in one cycle, and exchanges in the next."""


@dataclass(frozen=True, kw_only=True)
class MapperGeometry:
    """Sizes of a mapping unit (Lin et al., PointAcc, MICRO 2021), which finds the kernel maps of sparse convolutions.

    A key is a batch number and `dims` coordinates, packed into one number (zeroskip.model.mapping.keys). The unit
    merges `width` keys a cycle. Its memory holds `words` words of `width` keys, each with an index.
    """

    width: int = 8
    """Keys merged in a cycle, a power of two from 1 to 64."""
    dims: int = 3
    """Coordinates of a point, 1 to 4."""
    coordinate_bits: int = 13
    """Width of a coordinate in the key, 4 to 20."""
    batch_bits: int = 4
    """Width of the batch number in the key, 1 to 16."""
    reach: int = 16
    """The largest component of an offset, either way, 1 to 2 ** (coordinate_bits - 2): coordinates keep so far from the
    ends of their range that a shifted coordinate never leaves it."""
    index_bits: int = 18
    """Width of a key's index, which names a point in the triples, 1 to 31."""
    words: int = 16384
    """Words of the memory, 4 to 2 ** 24. Both lists of a map, or the three regions of a sort, share it."""
    offsets: int = 512
    """Offsets of a kernel that the table holds, 1 to 4096."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be an integer, not {value!r}")
        self._check_range("width", 1, 64)
        if self.width & (self.width - 1):
            raise ValueError(f"width must be a power of two, not {self.width}")
        self._check_range("dims", 1, 4)
        self._check_range("coordinate_bits", 4, 20)
        self._check_range("batch_bits", 1, 16)
        self._check_range("reach", 1, 1 << (self.coordinate_bits - 2))
        self._check_range("index_bits", 1, 31)
        self._check_range("words", 4, 1 << 24)
        self._check_range("offsets", 1, 4096)
        if self.key_bits > MAX_KEY_BITS:
            raise ValueError(
                f"batch_bits + dims * coordinate_bits must be at most {MAX_KEY_BITS}, not {self.key_bits}: use fewer "
                "bits for each coordinate"
            )

    def _check_range(self, name: str, low: int, high: int) -> None:
        if not low <= getattr(self, name) <= high:
            raise ValueError(f"{name} must be from {low} to {high}, not {getattr(self, name)}")

    @property
    def key_bits(self) -> int:
        """Width of a key."""
        return self.batch_bits + self.dims * self.coordinate_bits

    @property
    def batches(self) -> int:
        """Batch numbers are below this."""
        return 1 << self.batch_bits

    @property
    def lowest(self) -> int:
        """The least coordinate of a point."""
        return self.reach - (1 << (self.coordinate_bits - 1))

    @property
    def highest(self) -> int:
        """The greatest coordinate of a point."""
        return (1 << (self.coordinate_bits - 1)) - 1 - self.reach

    @property
    def keys(self) -> int:
        """Keys that the memory holds."""
        return self.words * self.width

    @property
    def pairs(self) -> int:
        """Triples that a merged block of `width` keys gives at most: each needs two keys."""
        return max(1, self.width // 2)

    @property
    def levels(self) -> int:
        """Columns of comparators that sort a bitonic block: log2(width)."""
        return self.width.bit_length() - 1

    @property
    def settle_cycles(self) -> int:
        """Cycles in which a bitonic block is sorted."""
        return COLUMN_CYCLES * self.levels

    @property
    def sort_cycles(self) -> int:
        """Cycles in which any block is sorted: by log2(width) * (log2(width) + 1) / 2 columns."""
        return COLUMN_CYCLES * (self.levels * (self.levels + 1) // 2)

    @property
    def together(self) -> int:
        """Queries that are ranked together: as many as the ranking of one takes cycles from block to block."""
        return COLUMN_CYCLES + self.settle_cycles

    @property
    def distance_bits(self) -> int:
        """Width of a squared distance of points that are less than half of the range apart in each coordinate. The unit
        ranks distances where they fit a key, and all ones is none of them."""
        return (self.dims << (2 * self.coordinate_bits - 2)).bit_length()

    @property
    def address_bits(self) -> int:
        """Width of a word's address."""
        return bits_for(self.words)

    def blocks(self, keys: int) -> int:
        """Words that a list of so many keys takes; an empty list is read as one word without keys."""
        return max(1, -(-keys // self.width))
