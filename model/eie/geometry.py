"""The geometry of the EIE array: the one object that rtl, golden, cycles, cosim and fpga all take."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zeroskip.model.bits import bits_for

VALUE_BITS = 16
"""Width of an activation and of a codebook value, signed fixed point (EIE section IV)."""

LNZD_WINDOW = 64
"""Activations searched for non-zeros in one cycle where the array has no more processing elements than that."""

LNZD_GROUP = 16
"""Activations among which the lower levels of the quadtree select; its upper levels select a group of them."""

COLUMNS_AHEAD = 16
"""Columns that may be fetched before they are broadcast: a power of two, and at least the cycles that a fetch takes."""

PUSH_CYCLES = 3
"""Cycles from a broadcast at a processing element until the level of its queue counts the column."""

HOP_PES = 8
"""Processing elements up to which no further register is needed on the way to them and back."""


MEMORIES = ("entry_words", "pointers", "activation_rows", "layers")
"""The fields of EieGeometry that a network may be fitted to."""


@dataclass(frozen=True, kw_only=True)
class EieGeometry:
    """Sizes of an EIE array (Han et al., ISCA 2016); the defaults are the paper's processing element.

    The memory sizes are those of one processing element (PE). `entry_words` words of `entries_per_word` entries
    hold the sparse matrices, `pointers` column pointers are stored in two banks, and `activation_rows` accumulators in
    each of the two activation files bound a layer to `activation_rows * pes` inputs or outputs.
    """

    pes: int = 64
    """Processing elements, a power of two from 1 to 256."""
    index_bits: int = 4
    """Width of the count of zero rows before an entry, 2 to 8."""
    code_bits: int = 4
    """Width of a codebook index, 1 to 8."""
    entries_per_word: int = 8
    """Entries in a word of the sparse-matrix memory, a power of two from 1 to 64."""
    queue_depth: int = 8
    """Columns that wait in front of a PE before the broadcast stops, 1 to 256; see `queue_full`."""
    accumulator_bits: int = 32
    """Width of the saturating accumulator, 16 to 48."""
    product_shift: int = 0
    """Bits dropped (rounding down) from each product before it is added, 0 to 31."""
    entry_words: int = 16384
    """Words of the sparse-matrix memory of a PE (16,384 words of 64 bits are the paper's 128 KB)."""
    pointers: int = 16384
    """Column pointers of a PE, over all layers (16,384 are the paper's 32 KB)."""
    activation_rows: int = 64
    """Rows of each activation file of a PE."""
    layers: int = 8
    """Layers that the table in the control unit holds."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be an integer, not {value!r}")
        self._check_range("pes", 1, 256, power_of_two=True)
        self._check_range("index_bits", 2, 8)
        self._check_range("code_bits", 1, 8)
        self._check_range("entries_per_word", 1, 64, power_of_two=True)
        self._check_range("queue_depth", 1, 256)
        self._check_range("accumulator_bits", 16, 48)
        self._check_range("product_shift", 0, 31)
        self._check_range("entry_words", 1, 1 << 24)
        self._check_range("pointers", 2, 1 << 24)
        self._check_range("activation_rows", 1, 1 << 16)
        self._check_range("layers", 1, 256)
        if self.activation_rows % self.rows_per_window:
            raise ValueError(
                f"activation_rows must be a multiple of {self.rows_per_window} at {self.pes} PEs, "
                f"not {self.activation_rows}"
            )

    def _check_range(self, name: str, low: int, high: int, *, power_of_two: bool = False) -> None:
        value = getattr(self, name)
        kind = "a power of two from" if power_of_two else "from"
        if not low <= value <= high or (power_of_two and value & (value - 1)):
            raise ValueError(f"{name} must be {kind} {low} to {high}, not {value}")

    @property
    def entry_bits(self) -> int:
        """Width of an entry: the skip in the low bits, the code above it."""
        return self.index_bits + self.code_bits

    @property
    def word_bits(self) -> int:
        return self.entry_bits * self.entries_per_word

    @property
    def word_bytes(self) -> int:
        return -(-self.word_bits // 8)

    @property
    def codebook_size(self) -> int:
        return 1 << self.code_bits

    @property
    def entries(self) -> int:
        """Entries that the sparse-matrix memory of a PE holds."""
        return self.entry_words * self.entries_per_word

    @property
    def pointer_bits(self) -> int:
        """Width of a column pointer: it also names the end of a full memory."""
        return bits_for(self.entries + 1)

    @property
    def hops(self) -> int:
        """Registers between the control unit and the PEs, in each direction, that a larger array needs to run at the
        same clock."""
        return int(self.pes > HOP_PES)

    @property
    def fetch_cycles(self) -> int:
        """Cycles from a read of an activation at the control unit to its accumulator there."""
        return 3 + 2 * self.hops

    @property
    def room_cycles(self) -> int:
        """Cycles from a level of a PE's queue to the first broadcast at the PE that depends on it."""
        return 2 + 2 * self.hops

    @property
    def settle_cycles(self) -> int:
        """Cycles from the first in which no PE is busy to the one at whose end the activation files swap."""
        return 2 + 2 * self.hops

    @property
    def queue_full(self) -> int:
        """Columns in the queue of a PE with which the broadcast stops. It goes on late, `room_cycles` after one has
        left, which costs a PE about two columns: they are added to `queue_depth`."""
        return self.queue_depth + 2

    @property
    def queue_places(self) -> int:
        """Columns that the queue of a PE can hold: `queue_full`, and those that may come until the broadcast stops."""
        return self.queue_full + self.room_cycles + PUSH_CYCLES - 1

    @property
    def window(self) -> int:
        """Activations that leading non-zero detection sees at once."""
        return max(LNZD_WINDOW, self.pes)

    @property
    def rows_per_window(self) -> int:
        return self.window // self.pes

    @property
    def activations(self) -> int:
        """Longest input or output vector of a layer."""
        return self.activation_rows * self.pes

    @property
    def activation_lanes(self) -> int:
        """Activations that one transfer of the load port carries: at most four, one for each of as many PEs."""
        return min(self.pes, 4)

    @property
    def max_shift(self) -> int:
        """Largest `out_shift` of a layer."""
        return self.accumulator_bits - 1


def word_geometry(*, word_bits: int, index_bits: int, **sizes: int) -> EieGeometry:
    """The geometry whose words have `word_bits` bits; `sizes` are other fields. Raises ValueError where a whole number
    of entries does not fill a word."""
    entry_bits = index_bits + EieGeometry.code_bits
    if word_bits % entry_bits:
        raise ValueError(f"word_bits must be a multiple of the {entry_bits} bits of an entry, not {word_bits}")
    return EieGeometry(index_bits=index_bits, entries_per_word=word_bits // entry_bits, **sizes)
