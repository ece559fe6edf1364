"""What every run of a network on hardware gives. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroskip.cosim.verify import Verification


@dataclass(frozen=True, kw_only=True, eq=False)
class Verified:
    """`verification` has outputs, cycles and how they compare with the models."""

    verification: Verification

    @property
    def equal(self) -> bool:
        """Whether every bit is that of the golden model, and every cycle that of the cycle model."""
        return self.verification.equal

    @property
    def outputs(self) -> Any:
        """The network's outputs (float, samples x outputs)."""
        return self.verification.outputs
