"""The rules of the bus standards: what keeps them passes, and each that is broken is noticed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from zeroskip.cosim.bus.rules import ApbRules, AxiLiteRules, AxiMemoryRules, Rules, WishboneRules

SETUP = {"psel": 1, "paddr": 8}
ACCESS = {**SETUP, "penable": 1}
ENDED = {**ACCESS, "pready": 1}

ASKED = {"cyc": 1, "stb": 1, "adr": 8}

WRITE = {"awvalid": 1, "awready": 1, "wvalid": 1, "wready": 1}
READ = {"arvalid": 1, "arready": 1}
BURST = {"awvalid": 1, "awready": 1, "awaddr": 0x1000, "awlen": 1, "awsize": 2, "awburst": 1}
WORD = {"wvalid": 1, "wready": 1}
LAST = {**WORD, "wlast": 1}

GOOD: dict[type[Rules], list[list[dict[str, int]]]] = {
    ApbRules: [
        [{}, SETUP, ACCESS, ENDED, SETUP, {**ENDED, "pslverr": 1}, {}, {"pready": 1}],
        # Begun before the reset.
        [ACCESS, ENDED, {}],
    ],
    WishboneRules: [[{}, ASKED, ASKED, {**ASKED, "ack": 1}, {}, ASKED, {**ASKED, "err": 1}, ASKED]],
    AxiLiteRules: [
        [WRITE, {"bvalid": 1}, {"bvalid": 1, "bready": 1}, READ, {"rvalid": 1, "rready": 1, "rresp": 3}],
        [{"wvalid": 1, "wready": 1}, {"awvalid": 1, "awready": 1}, {"bvalid": 1, "bready": 1}],
        [{**READ, "rready": 1}, {**READ, "rvalid": 1, "rready": 1}, {"rvalid": 1}],
    ],
    AxiMemoryRules: [
        [BURST, WORD, {}, LAST, BURST, WORD, LAST],
        [WORD, LAST, BURST],
        [{"arvalid": 1, "arready": 1, "araddr": 0x1FFC, "arsize": 2, "arburst": 1}],
        # Not taken yet.
        [{"awvalid": 1, "awaddr": 3}],
    ],
}

BAD: list[tuple[type[Rules], list[dict[str, int]], str]] = [
    (ApbRules, [{"penable": 1}], "PENABLE without PSEL"),
    (ApbRules, [{}, ACCESS], "a transfer without a set-up"),
    (ApbRules, [SETUP, ENDED, ENDED], "a transfer without a set-up"),
    (ApbRules, [SETUP, {}], "a transfer was taken back"),
    (ApbRules, [SETUP, SETUP], "a transfer was taken back"),
    (ApbRules, [SETUP, ACCESS, {**ENDED, "paddr": 12}], "a transfer changed"),
    (ApbRules, [SETUP, {**ACCESS, "pslverr": 1}], "PSLVERR is not at the end"),
    (WishboneRules, [ASKED, {**ASKED, "ack": 1, "err": 1}], "ACK and ERR at once"),
    (WishboneRules, [ASKED, {**ASKED, "ack": 1}, {"ack": 1}], "an answer without an access"),
    (WishboneRules, [ASKED, {}], "an access was taken back"),
    (WishboneRules, [ASKED, {**ASKED, "sel": 1}], "an access changed"),
    (AxiLiteRules, [{"bvalid": 1}], "B before what it answers"),
    (AxiLiteRules, [{**WRITE, "bvalid": 1}], "B before what it answers"),
    (AxiLiteRules, [{"awvalid": 1, "awready": 1}, {"bvalid": 1}], "B before what it answers"),
    (AxiLiteRules, [READ, {"rvalid": 1, "rready": 1}, {"rvalid": 1}], "R before what it answers"),
    (AxiLiteRules, [READ, {"rvalid": 1, "rresp": 1}], "R is EXOKAY"),
    (AxiMemoryRules, [{**BURST, "awaddr": 0x1FFC}], "aw: 2 words from 0x1ffc on"),
    (AxiMemoryRules, [{**BURST, "awaddr": 0x1002}], "aw: 0x1002 is not that of a word"),
    (AxiMemoryRules, [{**BURST, "awburst": 0}], "aw: the burst"),
    (AxiMemoryRules, [BURST, LAST], "1 words of data for a burst of 2"),
    (AxiMemoryRules, [BURST, WORD, WORD], "WLAST is missing"),
]


def play(rules: type[Rules], cycles: Sequence[dict[str, Any]]) -> None:
    kept = rules()
    for cycle in cycles:
        kept.step({name: cycle.get(name, 0) for name in rules.signals})


@pytest.mark.parametrize("rules", GOOD)
def test_what_keeps_the_rules(rules: type[Rules]) -> None:
    for cycles in GOOD[rules]:
        play(rules, cycles)


@pytest.mark.parametrize(("rules", "cycles", "message"), BAD)
def test_what_breaks_a_rule(rules: type[Rules], cycles: list[dict[str, int]], message: str) -> None:
    """In its last cycle."""
    play(rules, cycles[:-1])
    with pytest.raises(AssertionError, match=re.escape(message)):
        play(rules, cycles)
