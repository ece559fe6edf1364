"""What a viewer shows of a waveform of the N:M tile: the sequencer, the steps, and each row with the codes of its
multiplexers, sums and results."""

from __future__ import annotations

from zeroskip.cosim.waves.shown import Group, Shown, of_player
from zeroskip.model.bits import bits_for
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.layouts import codes_layout, results_layout, timing

GEMM = "gemm_player.gemm"
"""The tile with its memories, below its player (gemm_player.v)."""

OPEN_ROWS = 4
"""Rows whose groups are open at first."""


def groups(geometry: TileGeometry) -> list[Group]:
    return [_sequencer(geometry), _steps(geometry), *(_row(geometry, row) for row in range(geometry.m))]


def _sequencer(geometry: TileGeometry) -> Group:
    sequencer = f"{GEMM}.sequencer"
    signals = [
        *of_player("gemm_player"),
        Shown(name=f"{GEMM}.start__valid", label="start: job offered"),
        Shown(name=f"{GEMM}.start__ready", label="start: job taken"),
        Shown(name=f"{sequencer}.busy", label="job under way"),
        Shown(name=f"{sequencer}.runs", label="steps are left"),
        Shown(name=f"{sequencer}.slot", bits=_slot_bits(geometry), label="slot (sum of the round)", form="unsigned"),
        Shown(name=f"{sequencer}.window", bits=bits_for(geometry.b_words), label="window of B", form="unsigned"),
        Shown(name=f"{sequencer}.next_step", label="next step of the round"),
        Shown(name=f"{sequencer}.next_round", label="next round"),
        Shown(name=f"{sequencer}.fetch__valid", label="fetch: step"),
        Shown(name=f"{sequencer}.finished", label="a tile of sums is finished"),
        Shown(name=f"{GEMM}.done", label="done"),
        Shown(name=f"{GEMM}.illegal", label="illegal metadata"),
    ]
    return Group(title="Sequencer", signals=signals)


def _steps(geometry: TileGeometry) -> Group:
    tile, slot = f"{GEMM}.tile", _slot_bits(geometry)
    return Group(
        title="Tile",
        signals=[
            Shown(name=f"{tile}.step__valid", label="step"),
            Shown(name=f"{tile}.control__first", label="take: first step of a sum"),
            Shown(name=f"{tile}.control__take_slot", bits=slot, label="take: slot", form="unsigned"),
            Shown(name=f"{tile}.control__write", label="write: sum"),
            Shown(name=f"{tile}.control__write_slot", bits=slot, label="write: slot", form="unsigned"),
            Shown(name=f"{tile}.result__valid", label="result"),
        ],
    )


def _row(geometry: TileGeometry, row: int) -> Group:
    tile, bank, pattern = f"{GEMM}.tile", f"{GEMM}.d{row}", geometry.pattern
    signals = []
    if not pattern.dense:
        signals.append(
            Shown(
                name=f"{tile}.unit{row}_0.instance.codes",
                bits=codes_layout(geometry).elem_shape.size,
                label="codes of the multiplexers, last group first",
                # One digit is one group of 2:4.
                form="hex" if pattern.code_bits == 4 else "binary",
            )
        )
        signals += [
            Shown(
                name=f"{tile}.unit{row}_{column}.instance.selector.chosen",
                bits=geometry.k * geometry.operand.operand_bits,
                label=f"column {column}: values chosen of B",
            )
            for column in range(geometry.n)
        ]
    signals += [
        Shown(
            name=f"{tile}.unit{row}_{column}.instance.d",
            bits=geometry.result.bits,
            label=f"column {column}: sum written",
        )
        for column in range(geometry.n)
    ]
    signals += [
        Shown(name=f"{bank}.write__en", label="D: written"),
        Shown(name=f"{bank}.write__addr", bits=bits_for(geometry.d_words), label="D: word", form="unsigned"),
        Shown(name=f"{bank}.write__data", bits=results_layout(geometry).elem_shape.size, label="D: values"),
    ]
    return Group(title=f"Row {row}", signals=signals, open=row < OPEN_ROWS)


def _slot_bits(geometry: TileGeometry) -> int:
    return bits_for(timing(geometry).slots)
