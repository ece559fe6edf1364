"""Rules of the bus standards, checked in each cycle: what a core and its peers must not do.

A class has the `prefix` of its ports and the `signals` that it looks at. `step` takes their values in a cycle that ends
without a reset, and raises AssertionError where a rule is broken; after a reset, a new object begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

Values = Mapping[str, int]

EXOKAY = 1
"""The response that AXI4-Lite does not have."""


class Rules(Protocol):
    prefix: ClassVar[str]
    signals: ClassVar[Sequence[str]]

    def step(self, now: Values) -> None: ...


class ApbRules:
    """Arm IHI 0024: a transfer has a cycle of set-up, stays as it is to its end, and an error comes with the end."""

    prefix: ClassVar[str] = "s_apb_"
    request = ("pwrite", "paddr", "pwdata", "pstrb")
    signals: ClassVar[Sequence[str]] = (*request, "psel", "penable", "pready", "pslverr")

    def __init__(self) -> None:
        # The transfer that has begun and not ended. A reset may have come in the middle of one, which goes on.
        self._begun: list[int] | None = None
        self._after_reset = True

    def step(self, now: Values) -> None:
        access = now["psel"] and now["penable"]
        assert now["psel"] or not now["penable"], "PENABLE without PSEL"
        assert not now["pslverr"] or (access and now["pready"]), "PSLVERR is not at the end of a transfer"
        request = [now[name] for name in self.request]
        if self._after_reset and access:
            self._begun = request
        self._after_reset = False
        if self._begun is None:
            assert not access, "a transfer without a set-up"
        else:
            assert access, "a transfer was taken back"
            assert request == self._begun, f"a transfer changed from {self._begun} to {request}"
        ended = access and now["pready"]
        self._begun = request if now["psel"] and not ended else None


class AxiLiteRules:
    """Arm IHI 0022, A3.3 and B1: an answer comes behind the address, and that of a write behind the data too; no
    EXOKAY. That what is offered stays is checked of each channel by itself (Peers)."""

    prefix: ClassVar[str] = "s_axi_"
    channels = ("aw", "w", "b", "ar", "r")
    signals: ClassVar[Sequence[str]] = (
        *(f"{channel}{end}" for channel in channels for end in ("valid", "ready")),
        "bresp",
        "rresp",
    )

    def __init__(self) -> None:
        self._taken = dict.fromkeys(self.channels, 0)

    def step(self, now: Values) -> None:
        taken = self._taken
        for answer, asked in (("b", ("aw", "w")), ("r", ("ar",))):
            if now[f"{answer}valid"]:
                assert all(taken[answer] < taken[one] for one in asked), f"{answer.upper()} before what it answers"
                assert now[f"{answer}resp"] != EXOKAY, f"{answer.upper()} is EXOKAY"
        for channel in self.channels:
            taken[channel] += now[f"{channel}valid"] and now[f"{channel}ready"]
