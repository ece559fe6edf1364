"""The geometry of a mapping unit on a board."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.link.ports import WIDEST


@dataclass(frozen=True, kw_only=True)
class LinkedMapperGeometry(MapperGeometry):
    """A mapping unit, and the memory that takes the triples of a job until the host reads them. A word of the unit's
    memory must not be wider than what the link takes. ValueError for others."""

    triple_words: int = 1024
    """Words of `pairs` triples, 1 to 2 ** 24."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_range("triple_words", 1, 1 << 24)
        bits = self.width * (self.key_bits + self.index_bits)
        if bits > WIDEST:
            raise ValueError(
                f"width * (key_bits + index_bits) must be at most {WIDEST:,}, the widest word that the link takes, not "
                f"{bits:,}: use a smaller width"
            )

    @property
    def triples(self) -> int:
        """Triples of a job that find room. The unit fills all words but the last."""
        return self.triple_words * self.pairs
