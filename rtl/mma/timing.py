"""When a dot-product unit does what, and the signals by which the tile, once for all of its units, tells it to."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.lib import wiring
from amaranth.lib.wiring import In

from zeroskip.model.bits import bits_for


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The pipeline of a dot-product unit: `stages` from the operands to the result, the sum so far being taken in stage
    `take` (counted from 0) and written in the last."""

    stages: int
    take: int

    @property
    def loop(self) -> int:
        """Cycles after which a sum can be continued."""
        return self.stages - self.take

    @property
    def slots(self) -> int:
        """Sums under way: so many that any number of at least `loop` can be worked off in rounds that are no shorter
        than `loop`, without a cycle lost."""
        return 2 * self.loop - 1


def control_ports(timing: Timing) -> dict[str, wiring.Member]:
    """`first` and `take_slot` belong to the step in stage `take`: whether it begins a sum with c, and whose sum it
    continues. `write` and `write_slot` belong to the step in the last stage."""
    slot = bits_for(timing.slots)
    return {
        "en": In(1),
        "first": In(1),
        "take_slot": In(slot),
        "write": In(1),
        "write_slot": In(slot),
    }
