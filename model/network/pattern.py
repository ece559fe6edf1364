"""N:M sparsity patterns: how many values of a group are kept, and how wide the code is that names them."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.model.bits import bits_for


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """At most `keep` non-zeros in every `group` values along the reduction dimension, in runs of `pair` values.

    A group is `group / pair` positions of `pair` neighbouring values each; a compressed operand keeps
    `keep / pair` of the positions, its lanes. 2:4 is NVIDIA's pattern for 16 and 8 bits, 1:2 the one for tf32, 4:8 in
    pairs the one for 4 bits (PTX ISA 9.1, section 9.7.14.6.1). `keep == group` is dense: there is no metadata.
    """

    keep: int = 2
    group: int = 4
    pair: int = 1

    def __post_init__(self) -> None:
        for name in ("keep", "group", "pair"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an integer, not {value!r}")
        if not 1 <= self.group <= 16 or self.group & (self.group - 1):
            raise ValueError(f"group must be a power of two from 1 to 16, not {self.group}")
        if not 1 <= self.keep <= self.group or self.group % self.keep:
            raise ValueError(f"keep must be at least 1 and divide group ({self.group}), not {self.keep}")
        if self.pair not in (1, 2) or self.keep % self.pair or self.group % self.pair:
            raise ValueError(f"pair must be 1 or 2 and divide keep ({self.keep}) and group, not {self.pair}")

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """The pattern that `str` shows: "2:4", "1:2", "4:8 pairs" or "dense"."""
        if text == "dense":
            return DENSE
        ratio, _, rest = text.partition(" ")
        keep, colon, group = ratio.partition(":")
        if not colon or not keep.isdecimal() or not group.isdecimal() or rest not in ("", "pairs"):
            raise ValueError(f"a pattern is written N:M, N:M pairs or dense (2:4, 4:8 pairs), not {text!r}")
        return cls(keep=int(keep), group=int(group), pair=2 if rest else 1)

    def __str__(self) -> str:
        return "dense" if self.dense else f"{self.keep}:{self.group}" + (" pairs" if self.pair == 2 else "")

    @property
    def dense(self) -> bool:
        return self.keep == self.group

    @property
    def lanes(self) -> int:
        """Kept positions of a group: the indices that its code holds."""
        return self.keep // self.pair

    @property
    def positions(self) -> int:
        """Places of a group that an index can name."""
        return self.group // self.pair

    @property
    def halves(self) -> bool:
        """Whether codes name the two halves of the kept value, as NVIDIA's do for 1:2: 0100 and 1110."""
        return self.keep == 1 and self.group == 2

    @property
    def index_bits(self) -> int:
        return bits_for(self.positions)

    @property
    def code_bits(self) -> int:
        """Metadata bits of a group; index 0 stands in the lowest bits."""
        if self.dense:
            return 0
        return 4 if self.halves else self.lanes * self.index_bits

    def phase_code(self, phase: int) -> int:
        """The code by which a dense group gives its places, `lanes` positions at a time."""
        if self.halves:
            return 0b1110 if phase else 0b0100
        return sum((phase * self.lanes + lane) << (lane * self.index_bits) for lane in range(self.lanes))


DENSE = Pattern(keep=1, group=1)
