"""The rules of the bus standards: what keeps them passes, and each that is broken is noticed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from zeroskip.cosim.bus.rules import ApbRules, AxiLiteRules, Rules

SETUP = {"psel": 1, "paddr": 8}
ACCESS = {**SETUP, "penable": 1}
ENDED = {**ACCESS, "pready": 1}

WRITE = {"awvalid": 1, "awready": 1, "wvalid": 1, "wready": 1}
READ = {"arvalid": 1, "arready": 1}

GOOD: dict[type[Rules], list[list[dict[str, int]]]] = {
    ApbRules: [
        [{}, SETUP, ACCESS, ENDED, SETUP, {**ENDED, "pslverr": 1}, {}, {"pready": 1}],
        # Begun before the reset.
        [ACCESS, ENDED, {}],
    ],
    AxiLiteRules: [
        [WRITE, {"bvalid": 1}, {"bvalid": 1, "bready": 1}, READ, {"rvalid": 1, "rready": 1, "rresp": 3}],
        [{"wvalid": 1, "wready": 1}, {"awvalid": 1, "awready": 1}, {"bvalid": 1, "bready": 1}],
        [{**READ, "rready": 1}, {**READ, "rvalid": 1, "rready": 1}, {"rvalid": 1}],
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
    (AxiLiteRules, [{"bvalid": 1}], "B before what it answers"),
    (AxiLiteRules, [{**WRITE, "bvalid": 1}], "B before what it answers"),
    (AxiLiteRules, [{"awvalid": 1, "awready": 1}, {"bvalid": 1}], "B before what it answers"),
    (AxiLiteRules, [READ, {"rvalid": 1, "rready": 1}, {"rvalid": 1}], "R before what it answers"),
    (AxiLiteRules, [READ, {"rvalid": 1, "rresp": 1}], "R is EXOKAY"),
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
