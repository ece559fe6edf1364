"""The pipeline timing of a dot-product unit, and the signals by which the tile controls its units."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from zeroskip.model.bits import bits_for


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The pipeline of a dot-product unit: `stages` from the operands to the result. Stage `take` (counted from 0) works
    on the sum so far, which was read in the stage before, and the last writes it (zeroskip.rtl.mma.accumulators)."""

    stages: int
    take: int

    @property
    def loop(self) -> int:
        """Cycles after which a sum can be continued."""
        return self.stages - self.take

    @property
    def slots(self) -> int:
        """Sums that may be unfinished at once: enough to process any number of sums (at least `loop`) in rounds of at
        least `loop` sums, so that no cycle is lost."""
        return 2 * self.loop - 1


def dot_control(timing: Timing) -> wiring.Signature:
    """The tile's signals to its dot-product units in each cycle.

    Members
    -------
    en : 1, out
        The pipeline advances.
    first : 1, out
        The step in the stage before `take` begins a sum, with c.
    take_slot : bits_for(slots), out
        The slot of the sum that it continues otherwise.
    write : 1, out
        There is a step in the last stage.
    write_slot : bits_for(slots), out
        The slot of its sum.
    """
    slot = bits_for(timing.slots)
    return wiring.Signature(
        {
            "en": Out(1),
            "first": Out(1),
            "take_slot": Out(slot),
            "write": Out(1),
            "write_slot": Out(slot),
        }
    )
