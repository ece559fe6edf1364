"""What a viewer shows of a waveform of the EIE array: the control unit, and each PE along its pipeline."""

from __future__ import annotations

from zeroskip.cosim.waves.shown import Group, Shown, enumeration, of_player
from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import COLUMNS_AHEAD, EieGeometry
from zeroskip.rtl.eie.arithmetic import Augend
from zeroskip.rtl.eie.layouts import Activity, broadcast_layout, column_layout
from zeroskip.rtl.eie.scanner import WindowKind

ARRAY = "player.array"
"""The array below its player (player.v)."""

ACTIVITY = enumeration("activity", Activity)

OPEN_PES = 4
"""PEs whose groups are open at first: those of a large array would fill many screens."""


def pe_path(pe: int) -> str:
    """A PE's module: all PEs are instances of one."""
    return f"{ARRAY}.pe_{pe}.instance"


def groups(geometry: EieGeometry) -> list[Group]:
    return [_control(geometry), *(_pe(geometry, pe) for pe in range(geometry.pes))]


def _control(geometry: EieGeometry) -> Group:
    control = f"{ARRAY}.control"
    scanner, fetcher = f"{control}.scanner", f"{control}.fetcher"
    return Group(
        title="Control",
        signals=[
            *of_player("player"),
            Shown(name=f"{ARRAY}.start", label="start"),
            Shown(name=f"{ARRAY}.done", label="done"),
            Shown(name=f"{control}.running", label="running"),
            Shown(
                name=f"{control}.following",
                bits=bits_for(geometry.layers),
                label="layer of next cycle",
                form="unsigned",
            ),
            Shown(name=f"{control}.begin", label="layer begins"),
            Shown(name=f"{control}.draining", label="draining: all columns sent"),
            Shown(name=f"{control}.ending", label="last cycle of layer"),
            Shown(
                name=f"{scanner}.kind",
                bits=2,
                label="scanner: next window",
                form=enumeration("window", WindowKind),
            ),
            Shown(name=f"{scanner}.exhausted", label="scanner: every column found"),
            Shown(
                name=f"{fetcher}.ahead", bits=bits_for(COLUMNS_AHEAD + 1), label="fetch: columns ahead", form="unsigned"
            ),
            Shown(
                name=f"{fetcher}.waiting",
                bits=bits_for(COLUMNS_AHEAD + 1),
                label="fetch: columns ready to send",
                form="unsigned",
            ),
            Shown(name=f"{control}.room", label="room in every queue"),
            Shown(name=f"{control}.blocked", label="blocked: a broadcast waits for room"),
            Shown(name=f"{control}.broadcast__valid", label="broadcast"),
            Shown(
                name=f"{control}.broadcast__payload",
                bits=broadcast_layout(geometry).size,
                label="broadcast: pointer, 4 digits of value",
            ),
            Shown(name=f"{control}.pes_busy", label="a PE is busy"),
        ],
    )


def _pe(geometry: EieGeometry, pe: int) -> Group:
    path = pe_path(pe)
    queue, spmat, lookahead = f"{path}.queue", f"{path}.spmat", f"{path}.lookahead"
    decoder, arithmetic, written = f"{path}.decoder", f"{path}.arithmetic", f"{path}.arithmetic.destination__write"
    rows, sums = bits_for(geometry.activation_rows), geometry.accumulator_bits
    return Group(
        title=f"PE {pe}",
        open=pe < OPEN_PES,
        signals=[
            Shown(name=f"{lookahead}.activity", bits=2, label="activity", form=ACTIVITY),
            Shown(name=f"{path}.room", label="queue: room"),
            Shown(
                name=f"{queue}.level", bits=bits_for(geometry.queue_places + 1), label="queue: level", form="unsigned"
            ),
            Shown(name=f"{queue}.i__valid", label="queue: push"),
            Shown(name=f"{queue}.o__valid", label="queue: has a column"),
            Shown(name=f"{queue}.o__ready", label="queue: pop"),
            Shown(
                name=f"{queue}.o__payload",
                bits=column_layout(geometry).size,
                label="queue: last, first entry, 4 digits of value",
            ),
            Shown(name=f"{spmat}.fetch", label="memory: read"),
            Shown(name=f"{spmat}.word", bits=bits_for(geometry.entry_words), label="memory: word", form="unsigned"),
            Shown(
                name=f"{lookahead}.pending",
                bits=geometry.entries_per_word,
                label="look-ahead: weights of word to issue",
                form="binary",
            ),
            Shown(name=f"{lookahead}.value", bits=16, label="look-ahead: activation", form="signed"),
            Shown(name=f"{decoder}.i__valid", label="decoder: entry"),
            Shown(name=f"{decoder}.read__data", bits=16, label="decoder: weight", form="signed"),
            Shown(name=f"{arithmetic}.product", bits=32, label="arithmetic: product", form="signed"),
            Shown(name=f"{arithmetic}.source", bits=2, label="arithmetic: adds to", form=enumeration("augend", Augend)),
            Shown(name=f"{written}__en", label="sum: written"),
            Shown(name=f"{written}__addr", bits=rows, label="sum: row", form="unsigned"),
            Shown(name=f"{written}__data", bits=sums, label="sum", form="signed"),
        ],
    )
