"""Cycle-exact performance model of the EIE array: the cycles from `start` to `done` of zeroskip.rtl.eie.array.Array.

It does not simulate every cycle. Each event in the array happens a constant number of cycles after the latest of a few
earlier events, so one pass over the columns, in the order of their broadcast, finds them all. Cycle 0 is the cycle in
which `start` is taken. For the c-th column of a layer (a non-zero activation, or the bias):

    look[w]       the scanner examines window w, as soon as the last group of the window before has moved on to be
                  searched; that group waits until the last column of the group before it is selected
    select[c]     the scanner selects it: two cycles after look, or later. At most one a cycle, while fewer than
                  COLUMNS_AHEAD have been selected and not sent
    fire[c]       it is broadcast, at the earliest FETCH cycles after select: it was sent when every PE had room

and in a PE that has entries in it, for each word w of its entries:

    issue[w]      the memory is read, at the earliest PUSH_CYCLES after fire; the last word takes the column from the
                  queue
    moved[w]      it leaves the memory's output for the register behind it
    taken[w]      look-ahead takes the word from that register
    end[w]        the last cycle of the word: one cycle for each weight; a word that is all padding takes none

A PE has room while its queue holds fewer than `queue_full` columns. The control unit learns it late: a broadcast goes
by the level `room_cycles` before, which counts the columns broadcast PUSH_CYCLES before that.

Each hop (EieGeometry.hops) is a register more on the way to the PEs, and one more on the way back.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.format import Columns
from zeroskip.model.eie.geometry import COLUMNS_AHEAD, LNZD_GROUP, PUSH_CYCLES, EieGeometry
from zeroskip.model.parallel import parallel

FIRST_LOOK = 2
"""The cycle of a layer in which its first window is examined, without hops."""

FETCH = 10
"""Cycles from a column's selection to its broadcast, without hops and waiting."""

LAST_UPDATE = 6
"""Cycles from the issue of an update to the one in which its row is flagged, the last of the stages of its PE."""

RECENT = 32
"""Columns whose broadcasts are remembered: COLUMNS_AHEAD, and more than may be on their way to the queues."""


@numba.njit(cache=True)
def _layer(
    activations,
    bias,
    pointers,
    weights,
    per_word,
    window,
    full,
    hops,
    popped,
    pushed,
    counted,
    moved,
    taken,
    end,
    recent,
):
    """The cycle in which all PEs are idle again at the end of a layer, counted from the first cycle of its search.

    `pointers` (columns + 1 x pes) are entry numbers, `weights` (pes x entries) is true for entries that are weights.
    `popped` (pes x places) keeps the cycles in which the queue's last columns left it; `pushed` and `counted`
    (pes) are the columns of each PE, and those of them that the level of its queue counts; `moved`, `taken` and `end`
    (pes) are cycles. `recent` (2 x RECENT) keeps the number and the broadcast of the last columns. The last seven are
    scratch.
    """
    pes = len(pushed)
    places = popped.shape[1]
    inputs = len(activations)
    windows = (inputs + window - 1) // window
    late = settle = 2 + 2 * hops
    pushed[:] = 0
    counted[:] = 0
    moved[:] = -1
    taken[:] = -1
    end[:] = -1

    look = FIRST_LOOK + 2 * hops
    select = fire = -1
    columns = seen = 0
    for w in range(windows + bias):
        moves = look
        group = -1
        for j in range(w * window, min((w + 1) * window, inputs)) if w < windows else range(inputs, inputs + 1):
            if w < windows:
                if activations[j] == 0:
                    continue
                if group != j // LNZD_GROUP:
                    group = j // LNZD_GROUP
                    moves = max(look + 1, select)
            else:
                moves = max(look + 1, select)
            select = max(select + 1, look + 2)
            if columns >= COLUMNS_AHEAD:
                select = max(select, recent[1, (columns - COLUMNS_AHEAD) % RECENT] - hops)
            at = max(fire + 1, select + FETCH + 3 * hops)
            waits = True
            while waits:
                while seen < columns and recent[1, seen % RECENT] + late + PUSH_CYCLES <= at:
                    pushes = recent[0, seen % RECENT]
                    for p in range(pes):
                        counted[p] += pointers[pushes + 1, p] > pointers[pushes, p]
                    seen += 1
                waits = False
                for p in range(pes):
                    slot = counted[p] - full
                    if slot >= 0 and popped[p, slot % places] + 1 + late > at:
                        waits = True
                        if seen == columns:
                            at = popped[p, slot % places] + 1 + late
                        else:
                            at += 1
                            break
            fire = at
            recent[0, columns % RECENT] = j
            recent[1, columns % RECENT] = fire
            columns += 1

            for p in range(pes):
                entry, last = pointers[j, p], pointers[j + 1, p]
                if entry < last:
                    issue = fire + PUSH_CYCLES
                    while entry < last:
                        cost = 0
                        beyond = min((entry // per_word + 1) * per_word, last)
                        while entry < beyond:
                            cost += weights[p, entry]
                            entry += 1
                        issue = max(issue, moved[p])
                        moved[p] = max(issue + 1, taken[p])
                        if cost == 0:
                            taken[p] = moved[p] + 1
                        else:
                            taken[p] = max(moved[p] + 1, end[p])
                            end[p] = taken[p] + cost
                    popped[p, pushed[p] % places] = issue
                    pushed[p] += 1
        look = max(look + 1, moves)
    rest = max(look, select + 1)
    if columns > 0:
        rest = max(rest, fire + PUSH_CYCLES + 1 + hops)
        for p in range(pes):
            if pushed[p] > 0:
                rest = max(rest, end[p] + LAST_UPDATE - settle + 1 + hops)
    return rest + 1


@parallel
def _batch(activations, bias, pointers, weights, per_word, window, full, places, hops):
    pes = len(weights)
    cycles = np.empty(len(activations), np.int64)
    for image in numba.prange(len(activations)):
        popped = np.empty((pes, places), np.int64)
        pushed = np.empty(pes, np.int64)
        counted = np.empty(pes, np.int64)
        moved = np.empty(pes, np.int64)
        taken = np.empty(pes, np.int64)
        end = np.empty(pes, np.int64)
        recent = np.empty((2, RECENT), np.int64)
        rest = _layer(
            activations[image],
            bias,
            pointers,
            weights,
            per_word,
            window,
            full,
            hops,
            popped,
            pushed,
            counted,
            moved,
            taken,
            end,
            recent,
        )
        cycles[image] = rest + 1
    return cycles


def layer_cycles(
    columns: Columns, activations: NDArray[Any], geometry: EieGeometry, *, bias: bool
) -> NDArray[np.int64]:
    """Cycles of one layer in each start (int64, starts), without START_TO_DONE, for `activations` (starts x inputs); it
    only matters which are zero. With `bias`, the last column is that of the bias."""
    lengths = columns.pointers[:, -1]
    weights = np.zeros((geometry.pes, max(1, int(lengths.max()))), bool)
    for pe, length in enumerate(lengths.tolist()):
        weights[pe, :length] = columns.codes[columns.starts[pe] : columns.starts[pe + 1]] != 0
    return _starts(activations != 0, columns.pointers, weights, geometry, bias=bias)


def _starts(
    activations: NDArray[Any], pointers: NDArray[Any], weights: NDArray[Any], geometry: EieGeometry, *, bias: bool
) -> NDArray[np.int64]:
    """Cycles of a layer in each start. `pointers` are pes x (columns + 1), `weights` pes x entries."""
    return _batch(
        activations,
        bias,
        np.ascontiguousarray(pointers.T.astype(np.int64)),
        weights,
        geometry.entries_per_word,
        geometry.window,
        geometry.queue_full,
        geometry.queue_places,
        geometry.hops,
    )


START_TO_DONE = 1
"""Cycles of each start in addition to those of its layers: the cycle that takes `start`."""


def run(network: EieNetwork, activations: list[NDArray[np.int16]]) -> NDArray[np.int64]:
    """Cycles of each layer of each image (int64, images x layers), for a convolution over all its positions. From
    `start` to `done`, it takes their sum over the layers and START_TO_DONE for each start.

    `activations` are the inputs of each layer (int16, starts x inputs), as zeroskip.model.eie.golden gives them.
    """
    cycles = np.empty((len(activations[0]) // network.starts[0], len(network.layers)), np.int64)
    for index in range(len(network.layers)):
        cycles[:, index] = run_layer(network, index, activations[index]).reshape(len(cycles), -1).sum(axis=1)
    return cycles


def run_layer(network: EieNetwork, index: int, activations: NDArray[np.int16]) -> NDArray[np.int64]:
    """Cycles of layer `index` in each start (int64, starts), for its inputs (int16, starts x inputs)."""
    layer, base = network.layers[index], network.pointer_bases[index]
    pointers = network.pointers[:, base : base + layer.columns + 1]
    return _starts(activations, pointers, network.is_weight, network.geometry, bias=layer.bias)
