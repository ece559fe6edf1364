"""Rules of the bus standards, checked in each cycle: what a core and its peers must not do.

A class has the `prefix` of its ports and the `signals` that it looks at. `step` takes their values in a cycle that ends
without a reset, and raises AssertionError where a rule is broken; after a reset, a new object begins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

Values = Mapping[str, int]

BOUNDARY = 4096
"""No burst of AXI4 crosses it (Arm IHI 0022, A3.4.1)."""

EXOKAY = 1
"""The response that AXI4-Lite does not have."""

WORD_SIZE, INCREMENTING = 2, 1
"""AxSIZE of four bytes, and AxBURST of increasing addresses."""


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


class WishboneRules:
    """Wishbone B4, standard mode: one answer to each access, and none without one."""

    prefix: ClassVar[str] = "s_wb_"
    request = ("we", "adr", "sel", "dat_w")
    signals: ClassVar[Sequence[str]] = (*request, "cyc", "stb", "ack", "err")

    def __init__(self) -> None:
        self._waiting: list[int] | None = None

    def step(self, now: Values) -> None:
        access, answered = now["cyc"] and now["stb"], now["ack"] or now["err"]
        assert not (now["ack"] and now["err"]), "ACK and ERR at once"
        assert access or not answered, "an answer without an access"
        request = [now[name] for name in self.request]
        if self._waiting is not None:
            assert access, "an access was taken back"
            assert request == self._waiting, f"an access changed from {self._waiting} to {request}"
        self._waiting = request if access and not answered else None


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


class AxiMemoryRules:
    """Arm IHI 0022, A3.4: bursts of whole words that cross no boundary, and as many words of data as the address
    said, with WLAST at the last one."""

    prefix: ClassVar[str] = "m_axi_"
    signals: ClassVar[Sequence[str]] = (
        *(f"{channel}{end}" for channel in ("aw", "ar") for end in ("valid", "ready", "addr", "len", "size", "burst")),
        *("wvalid", "wready", "wlast"),
    )

    def __init__(self) -> None:
        self._lengths: deque[int] = deque()
        self._written: deque[int] = deque()
        self._words = 0

    def step(self, now: Values) -> None:
        for channel in ("aw", "ar"):
            if not (now[f"{channel}valid"] and now[f"{channel}ready"]):
                continue
            address, words = now[f"{channel}addr"], now[f"{channel}len"] + 1
            assert (now[f"{channel}size"], now[f"{channel}burst"]) == (WORD_SIZE, INCREMENTING), f"{channel}: the burst"
            assert address % 4 == 0, f"{channel}: {address:#x} is not that of a word"
            assert address % BOUNDARY + 4 * words <= BOUNDARY, f"{channel}: {words} words from {address:#x} on"
            if channel == "aw":
                self._lengths.append(words)
        if now["wvalid"] and now["wready"]:
            self._words += 1
            if now["wlast"]:
                self._written.append(self._words)
                self._words = 0
        # Data may come before their address.
        while self._lengths and self._written:
            words, written = self._lengths.popleft(), self._written.popleft()
            assert words == written, f"{written} words of data for a burst of {words}"
        assert not self._lengths or self._words < self._lengths[0] or now["wlast"], "WLAST is missing"
