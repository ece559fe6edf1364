"""Cycle-exact performance model of the EIE array: the cycles from `start` to `done` of zeroskip.rtl.eie.array.Array.

It does not simulate every cycle. Each event in the array happens a constant number of cycles after the latest of a few
earlier events, so one pass over the columns, in the order of their broadcast, finds them all. Cycle 0 is the cycle in
which `start` is taken. For the c-th column of a layer (a non-zero activation, or the bias):

    select[c]     the scanner gives it to the control unit, at most one a cycle
    fetched[c]    it leaves the register `fetch`        all three registers pass it on
    ready[c]      it leaves the register `raw`          as soon as the next one is free
    fire[c]       it is broadcast: every PE has room

and in a PE that has entries in it, for each word w of its entries:

    issue[w]      the memory is read, at the earliest 2 cycles after fire; the last word takes the column from the queue
    taken[w]      look-ahead takes the word from the memory's output
    end[w]        the last cycle of the word: one cycle for each weight; a word that is all padding takes none

A PE has room while its queue holds fewer than `queue_depth` columns. A column broadcast in the cycle before counts too,
whether or not it has entries in this PE.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.format import Columns
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.parallel import parallel


@numba.njit(cache=True)
def _layer(activations, bias, pointers, weights, per_word, window, depth, popped, pushed, taken, end):
    """The cycle in which all PEs are idle again at the end of a layer, counted from the first cycle of its search.

    `pointers` (columns + 1 x pes) are entry numbers, `weights` (pes x entries) is true for entries that are weights.
    `popped` (pes x depth) keeps the cycles in which the queue's last `depth` columns left it; `pushed`, `taken`, `end`
    (pes) are counts and cycles of each PE. The last four are scratch space.
    """
    pes = len(pushed)
    inputs = len(activations)
    windows = (inputs + window - 1) // window
    pushed[:] = 0
    taken[:] = -1
    end[:] = -1

    look = 0  # the cycle in which the scanner looks at the window
    select = fetched = ready = fire = 0
    before = 0
    columns = 0
    for w in range(windows + bias):
        seen = False
        for j in range(w * window, min((w + 1) * window, inputs)) if w < windows else range(inputs, inputs + 1):
            if w < windows and activations[j] == 0:
                continue
            if not seen:
                # A window leaves after the previous one has left.
                seen = True
                if columns > 0:
                    look = max(look, select)
                select = look
                look += 1
            # A register passes its column on in the same cycle as the next register.
            select = max(select + 1, fetched) if columns > 0 else select + 1
            fetched = max(select + 1, ready) if columns > 0 else select + 1
            ready = max(fetched + 1, fire) if columns > 0 else fetched + 1
            at = ready + 1
            if columns > 0 and at == fire + 1:
                # The previous column may still be on its way to the queues.
                for p in range(pes):
                    waiting = pushed[p]
                    if pointers[before + 1, p] > pointers[before, p]:
                        waiting -= 1
                    slot = waiting + 1 - depth
                    if depth == 1 or (slot >= 0 and popped[p, slot % depth] >= at):
                        at += 1
                        break
            if columns == 0 or at > fire + 1:
                for p in range(pes):
                    slot = pushed[p] - depth
                    if slot >= 0:
                        at = max(at, popped[p, slot % depth] + 1)
            fire = at
            before = j
            columns += 1

            for p in range(pes):
                entry, last = pointers[j, p], pointers[j + 1, p]
                if entry < last:
                    issue = fire + 2
                    while entry < last:
                        cost = 0
                        beyond = min((entry // per_word + 1) * per_word, last)
                        while entry < beyond:
                            cost += weights[p, entry]
                            entry += 1
                        issue = max(issue, taken[p])
                        if cost == 0:
                            taken[p] = issue + 1
                        else:
                            taken[p] = max(issue + 1, end[p])
                            end[p] = taken[p] + cost
                    popped[p, pushed[p] % depth] = issue
                    pushed[p] += 1
        if not seen:
            look += 1
    rest = look
    if columns > 0:
        rest = max(rest, fire + 2)
        for p in range(pes):
            if pushed[p] > 0:
                rest = max(rest, end[p] + 4)
    return rest


@parallel
def _batch(activations, bias, pointers, weights, per_word, window, depth):
    pes = len(weights)
    cycles = np.empty(len(activations), np.int64)
    for image in numba.prange(len(activations)):
        popped = np.empty((pes, depth), np.int64)
        pushed = np.empty(pes, np.int64)
        taken = np.empty(pes, np.int64)
        end = np.empty(pes, np.int64)
        rest = _layer(activations[image], bias, pointers, weights, per_word, window, depth, popped, pushed, taken, end)
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
    return _batch(
        activations != 0,
        bias,
        np.ascontiguousarray(columns.pointers.T.astype(np.int64)),
        weights,
        geometry.entries_per_word,
        geometry.window,
        geometry.queue_depth,
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
    geometry, layer, base = network.geometry, network.layers[index], network.pointer_bases[index]
    return _batch(
        activations,
        layer.bias,
        np.ascontiguousarray(network.pointers[:, base : base + layer.columns + 1].T.astype(np.int64)),
        network.is_weight,
        geometry.entries_per_word,
        geometry.window,
        geometry.queue_depth,
    )
