"""The geometry of the N:M tile: the one object that rtl, golden, cycles, cosim and fpga take."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from zeroskip.model.mma.numerics import (
    EXACT,
    GENERATIONS,
    INTEGER_BLOCK,
    OPERANDS,
    RESULTS,
    FloatFormat,
    IntFormat,
    block_rule,
    check_mode,
)
from zeroskip.model.network.pattern import Pattern


@dataclass(frozen=True, kw_only=True)
class TileGeometry:
    """An array of `m` x `n` dot-product units that each multiply `k` kept values a cycle, with its memories.

    The tile takes `m` rows of A, `k` kept values of each and the metadata that names them, and `window` rows of `n`
    columns of B. The same tile runs dense matrices, `window` rows of B in `phases` steps. `keep == group` is a
    dense-only tile, without selectors and metadata.
    """

    m: int = 4
    """Rows of the tile, 1 to 64."""
    n: int = 4
    """Columns of the tile, 1 to 64."""
    k: int = 8
    """Kept values that a unit multiplies in a cycle: a multiple of keep, and for floats the step of the generation.
    int32_sat saturates after each: the GPUs' blocks are 32 (int8) and 64 (int4)."""
    keep: int = 2
    """Values kept of each group (N of N:M)."""
    group: int = 4
    """Values of a group (M of N:M), a power of two."""
    pair: int = 1
    """Neighbouring values that are kept or dropped together, 1 or 2."""
    dtype: str = "fp16"
    """Format of A and B: fp16, bf16, tf32, e4m3, e5m2, int8 or int4."""
    out: str = "fp32"
    """Format of C and D: fp32 or fp16 for floats, int32 (wrapping) or int32_sat (saturating) for integers."""
    generation: str = "A100"
    """The GPU whose arithmetic it is: V100, A100, Ada, H100 or B200."""
    check: Literal["strict", "relaxed"] = "strict"
    """Legal metadata: increasing indices (strict) or merely distinct ones (relaxed)."""
    a_words: int = 16384
    """Words of A's memory: `m` x `k` values and their metadata each."""
    b_words: int = 4096
    """Words of B's memory: `window` x `n` values each."""
    d_words: int = 4096
    """Words of the memory of C, which D overwrites: `m` x `n` values each."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kind = str if isinstance(field.default, str) else int
            if not isinstance(value, kind) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be {'text' if kind is str else 'an integer'}, not {value!r}")
        for name, low, high in (("m", 1, 64), ("n", 1, 64), ("k", 1, 64)):
            self._check_range(name, low, high)
        for name in ("a_words", "b_words", "d_words"):
            self._check_range(name, 1, 1 << 24)
        if self.check not in ("strict", "relaxed"):
            raise ValueError(f"check must be strict or relaxed, not {self.check!r}")
        check_mode(self.generation, self.dtype, self.out)
        if self.generation == EXACT:
            raise ValueError(f"generation must be one of {', '.join(GENERATIONS)} on a tile, not {EXACT}")
        if self.k % self.pattern.keep:
            raise ValueError(f"k must be a multiple of keep ({self.keep}), not {self.k}")
        if isinstance(self.operand, FloatFormat):
            rule = block_rule(self.generation, self.dtype, self.out)
            if self.k != rule.step:
                raise ValueError(
                    f"k must be {rule.step}, the products that {self.generation} adds at once in {self.dtype}, "
                    f"not {self.k}"
                )

    def _check_range(self, name: str, low: int, high: int) -> None:
        if not low <= getattr(self, name) <= high:
            raise ValueError(f"{name} must be from {low} to {high}, not {getattr(self, name)}")

    @property
    def pattern(self) -> Pattern:
        return Pattern(keep=self.keep, group=self.group, pair=self.pair)

    @property
    def operand(self) -> FloatFormat | IntFormat:
        return OPERANDS[self.dtype]

    @property
    def result(self) -> FloatFormat | IntFormat:
        return RESULTS[self.out]

    @property
    def groups(self) -> int:
        """Groups of a row of A that one step multiplies."""
        return self.k // self.keep

    @property
    def window(self) -> int:
        """Rows of B that one sparse step selects from."""
        return self.groups * self.group

    @property
    def phases(self) -> int:
        """Steps of a dense matrix for one window."""
        return self.group // self.keep

    @property
    def dense_places(self) -> list[int]:
        """The row of a dense window, 0 to `window` - 1, that stands at each place of the window in memory.

        A dense step multiplies `k` rows that follow each other, but the selectors reach only the places of their own
        group: phase p finds its rows at places `p * keep` to `p * keep + keep - 1` of each group.
        """
        return [
            phase * self.k + group * self.keep + lane
            for group in range(self.groups)
            for phase in range(self.phases)
            for lane in range(self.keep)
        ]


_PATTERNS = {"tf32": Pattern(keep=1, group=2), "int4": Pattern(keep=4, group=8, pair=2)}


def mode_geometry(*, generation: str, dtype: str, out: str, **fields: Any) -> TileGeometry:
    """A tile for a mode, with NVIDIA's pattern for the format (2:4, 1:2 for tf32, 4:8 in pairs for int4) and as deep as
    the mode's blocks; `fields` are others of TileGeometry.

    Raises ValueError for a mode that is not known (numerics.check_mode).
    """
    if generation not in GENERATIONS:
        raise ValueError(f"generation must be one of {', '.join(GENERATIONS)}, not {generation!r}")
    pattern = _PATTERNS.get(dtype, Pattern())
    deep = INTEGER_BLOCK[dtype] if dtype in INTEGER_BLOCK else block_rule(generation, dtype, out).step
    shape = {"k": deep, "keep": pattern.keep, "group": pattern.group, "pair": pattern.pair, **fields}
    if shape["k"] % shape["keep"]:
        raise ValueError(
            f"a pattern that keeps {shape['keep']} does not fit the {shape['k']} products that {generation} adds at "
            f"once in {dtype}: keep must divide them"
        )
    return TileGeometry(generation=generation, dtype=dtype, out=out, **shape)
