"""Assigns the rows of fully connected layers to processing elements (PEs) so that their load is balanced.

A PE whose entries of the last few columns are more than its neighbours' fills its queue, and all PEs wait. The queue
evens out a few of its depths: within them only the sum of a PE's entries counts. For the expected broadcasts, given how
often each activation is not zero, the assignment makes two parts of the load's variance small:

    chance    of a column's broadcast: for each column, frequency * (1 - frequency) * (entries of a PE)**2
    windows   of a few queue depths, in the order of broadcast: (sum of frequency * entries of a PE)**2

Both are sums of products of rows that share a PE. Rows of different PEs are swapped as long as that makes it smaller.
Where all broadcasts are certain, as in recurrent layers, the queues can be simulated: pairs of rows drawn at random are
then swapped if that saves cycles. (For broadcasts drawn by chance it was measured to save none for others.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.calibrate import float_layer
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.shared import SharedLayer
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import LinearStage, Stage
from zeroskip.model.progress import Progress, Step, silent

SAMPLES = 1024
"""Calibration samples by which the frequency of non-zero activations is measured; more change little."""

WINDOWS = (8, 4)
"""Lengths of the windows, in queue depths of expected broadcasts. Measured on the paper's layers: shorter ones hinder
the balance of longer ones, and only longer ones leave the queue too much."""

CHANCE = 2.0
"""Weight of the chance of broadcasts against the windows. Measured: from 2 to 5 the layers take the same cycles."""

EACH_COLUMN = 0.05
"""Part of a broadcast that counts as chance even where it is certain: of two assignments with equal windows, the one
whose columns are even by themselves is better."""

ROWS_AT_ONCE = 4096
"""Rows that may be swapped with one another; the products of all their pairs are stored (64 MB)."""

SWEEPS = 30
"""At most as many passes over the rows; most searches end after about ten."""

TRIES = 8000
"""At most as many pairs of rows whose swap is simulated; with more, few cycles are saved for the time."""

_MOST_VISITS = 4e9
"""At most as many visits of a column and a PE, of about 2 ns, while swaps are simulated."""

_COLUMNS_AT_ONCE = 2048
# float32 holds integers up to here exactly, so that sums do not depend on their order.
_EXACT = 1 << 24
_FREQUENCY_UNIT = 256
# A swap gains at least this part of a row's product with itself; the search ends when fewer rows than one in
# _WORTH_A_SWEEP were swapped.
_LEAST_GAIN = 1e-3
_WORTH_A_SWEEP = 200


class Used:
    """How often the activations that the last stage reads are not zero, in all its starts for the first SAMPLES of the
    samples that it sees. Only a fully connected stage is looked at."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        last = stages[-1]
        self._layers = last.layers if isinstance(last, LinearStage) else range(0)
        self._most = SAMPLES * last.starts
        self._counts: dict[int, NDArray[np.int64]] = {}
        self._starts = dict.fromkeys(self._layers, 0)

    @classmethod
    def of(cls, layers: Sequence[SharedLayer], stages: Sequence[Stage], inputs: NDArray[np.float32]) -> Used:
        """That of the float network for `inputs` (samples x values)."""
        used = cls(stages)

        def run_stage(stage: Stage, rows: NDArray[np.float64]) -> NDArray[np.float64]:
            for index in stage.layers:
                used.see(index, rows)
                # Nothing asks for the outputs of the last layer.
                final = index == len(layers) - 1
                shape = len(rows), len(layers[index].weight_codes)
                rows = np.zeros(shape) if final else float_layer(layers[index], rows)
            return rows

        some = inputs[:SAMPLES]
        run_stages(stages, some.reshape(len(some), -1).astype(np.float64), run_stage)
        return used

    def see(self, index: int, rows: NDArray[np.float64]) -> None:
        """Takes what layer `index` reads for some samples (starts x inputs)."""
        if index in self._layers:
            rows = rows[: self._most - self._starts[index]]
            self._counts[index] = self._counts.get(index, 0) + (rows != 0).sum(axis=0)
            self._starts[index] += len(rows)

    def frequencies(self, index: int) -> NDArray[np.float64]:
        """The share of its starts in which each input of layer `index` is not zero (inputs)."""
        frequencies: NDArray[np.float64] = self._counts[index] / self._starts[index]
        return frequencies


def balance(
    layers: Sequence[SharedLayer],
    stages: Sequence[Stage],
    used: Used,
    pes: int,
    queue_depth: int = EieGeometry.queue_depth,
    progress: Progress = silent,
) -> tuple[list[SharedLayer], NDArray[np.uint32] | None]:
    """Reorders the rows of the fully connected layers of the last stage so that the load of `pes` PEs is balanced.

    Returns the layers, in which the columns follow the rows of the layer before, and the order of the outputs: output i
    of the network is value `order[i]` of the last stage (uint32, outputs). Without a fully connected last stage the
    layers stay as they are, and the order is None.

    `used` gives how often each activation is not zero.
    """
    balanced = list(layers)
    last = stages[-1]
    if not isinstance(last, LinearStage):
        return balanced, None
    columns = np.arange(layers[last.first].weight_codes.shape[1])
    for index in last.layers:
        progress(Step(task="balancing the load", done=index - last.first, total=len(last.layers), unit="layers"))
        layer = layers[index]
        bias = layer.bias_codes
        weights = layer.weight_codes[:, columns] != 0
        frequencies = used.frequencies(index)[columns]
        if bias is not None:
            weights, frequencies = np.column_stack((weights, bias != 0)), np.append(frequencies, 1.0)
        rows = assign_rows(weights, frequencies, pes, queue_depth)
        balanced[index] = dataclasses.replace(
            layer,
            weight_codes=np.ascontiguousarray(layer.weight_codes[np.ix_(rows, columns)]),
            bias_codes=None if bias is None else bias[rows],
        )
        columns = rows
    # The same order in each token.
    order = np.arange(last.rows)[:, None] * len(columns) + np.argsort(columns)
    return balanced, order.reshape(-1).astype(np.uint32)


def assign_rows(
    weights: NDArray[np.bool_],
    frequencies: NDArray[Any],
    pes: int,
    queue_depth: int = EieGeometry.queue_depth,
) -> NDArray[np.intp]:
    """The row of a matrix (`weights`, rows x columns) that is stored at each place; place k belongs to PE `k % pes`.

    `frequencies` (columns, in the order of broadcast) say how often each activation is not zero. The result depends on
    the arguments alone, not on the machine.
    """
    count = len(weights)
    variance = _Variance(frequencies, queue_depth)
    owner = np.arange(count) % pes
    # How many rows of each PE have a weight in each column.
    held = np.zeros((pes, weights.shape[1]), np.int64)
    # Every PE has as many rows as the others in each part but the last.
    at_once = max(pes, ROWS_AT_ONCE // pes * pes)
    for first in range(0, count, at_once):
        part = slice(first, min(first + at_once, count))
        shares = variance.products(held, weights[part])
        _swap(variance.products(weights[part], weights[part]), shares, owner[part])
        for pe in range(pes):
            held[pe] += weights[part][owner[part] == pe].sum(axis=0)
    if pes > 1 and ((frequencies == 0) | (frequencies == 1)).all():
        broadcasts = np.flatnonzero(frequencies)
        tries = min(TRIES, int(_MOST_VISITS / (1 + len(broadcasts) * pes)))
        pairs = np.random.default_rng(0).integers(count, size=(tries, 2))
        # The broadcast stops with two columns more than `queue_depth` (EieGeometry.queue_full); about one more is
        # on its way then.
        _climb(weights, np.ascontiguousarray(held.T), owner, pairs, broadcasts, queue_depth + 3)
    # Within a PE the rows keep their order.
    places = np.empty(count, np.intp)
    for pe in range(pes):
        places[pe::pes] = np.flatnonzero(owner == pe)
    return places


class _Variance:
    """Both parts of the load's variance as products of rows, for columns of these `frequencies`.

    All coefficients are integers, small enough that the sums of products are exact.
    """

    def __init__(self, frequencies: NDArray[Any], queue_depth: int) -> None:
        chance = CHANCE * frequencies * (1 + EACH_COLUMN - frequencies)
        self._unit = math.sqrt(_EXACT / max(1.0, chance.sum()))
        self._chance = np.floor(self._unit * np.sqrt(chance)).astype(np.float32)
        self._frequencies = np.rint(_FREQUENCY_UNIT * frequencies).astype(np.int64)
        # Windows of each length start at the first column, and once more half a length later.
        broadcasts = np.cumsum(frequencies) - frequencies
        lengths = [length * queue_depth for length in WINDOWS]
        windows = [(broadcasts / length + shift).astype(np.int64) for length in lengths for shift in (0, 0.5)]
        self._starts = [np.flatnonzero(np.diff(window, prepend=-1)) for window in windows]

    def products(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float32]:
        """The products (float32, left x right) of sums of rows (left x columns) and rows (right x columns)."""
        exact = np.float32 if left is right else np.float64
        chance = np.zeros((len(left), len(right)), exact)
        for first in range(0, left.shape[1], _COLUMNS_AT_ONCE):
            block = slice(first, first + _COLUMNS_AT_ONCE)
            factor = left[:, block] * self._chance[block].astype(exact)
            # Of a matrix and its own transpose, BLAS computes one half.
            chance += factor @ (factor if left is right else right[:, block] * self._chance[block].astype(exact)).T
        sums = self._window_sums(left)
        windows = sums @ (sums if left is right else self._window_sums(right)).T
        windows *= (self._unit / _FREQUENCY_UNIT) ** 2 / len(self._starts)
        windows += chance
        return windows.astype(np.float32)

    def _window_sums(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """The expected entries of rows in each window (rows x windows)."""
        scaled = [np.add.reduceat(row * self._frequencies, starts) for row in rows for starts in self._starts]
        return np.array(np.concatenate(scaled).reshape(len(rows), -1), np.float64)


@numba.njit(cache=True)
def _swap(products, shares, owner):
    """Swaps rows of different PEs, changing `owner` (rows), as long as the sum of `products` (rows x rows) of rows that
    share a PE becomes smaller. `shares` (pes x rows) are the products of the rows with what each PE has already.

    For each row, the best row to swap with is taken. Of equal choices it is the first.
    """
    count = len(owner)
    for row in range(count):
        shares[owner[row]] += products[row]
    for _ in range(SWEEPS):
        swaps = 0
        for row in range(count):
            pe = owner[row]
            own = products[row, row] - shares[pe, row]
            # What a swap changes is half the change of the sum; rounding errors must not count as changes.
            best, change = -1, -_LEAST_GAIN * products[row, row]
            for other in range(count):
                there = owner[other]
                if there != pe:
                    other_own = products[other, other] - shares[there, other]
                    swapped = own + other_own + shares[there, row] + shares[pe, other] - 2 * products[row, other]
                    if swapped < change:
                        best, change = other, swapped
            if best >= 0:
                there = owner[best]
                for k in range(count):
                    moved = products[best, k] - products[row, k]
                    shares[pe, k] += moved
                    shares[there, k] -= moved
                owner[row], owner[best] = there, pe
                swaps += 1
        if swaps * _WORTH_A_SWEEP < count:
            break


@numba.njit(cache=True)
def _climb(weights, held, owner, pairs, broadcasts, depth):
    """Swaps the `pairs` of rows that belong to different PEs, changing `owner` (rows), if the simulated cycles become
    fewer. `held` (columns x pes) are the weights of each PE in each column, `broadcasts` the columns whose activations
    are not zero."""
    best = _simulate(held, broadcasts, depth)
    for row, other in pairs:
        pe, there = owner[row], owner[other]
        if pe == there:
            continue
        for sign in (1, -1):
            for column in range(len(held)):
                moved = sign * (int(weights[other, column]) - int(weights[row, column]))
                held[column, pe] += moved
                held[column, there] -= moved
            if sign == 1:
                cycles = _simulate(held, broadcasts, depth)
                if cycles < best:
                    best = cycles
                    owner[row], owner[other] = there, pe
                    break


@numba.njit(cache=True)
def _simulate(held, broadcasts, depth):
    """The cycles of a layer as in zeroskip.model.eie.cycles, as if all entries of a column stood in one word."""
    pes = held.shape[1]
    popped = np.zeros((pes, depth), np.int64)
    pushed, taken, end = np.zeros(pes, np.int64), np.zeros(pes, np.int64), np.zeros(pes, np.int64)
    fire = 0
    for column in broadcasts:
        fire += 1
        for pe in range(pes):
            if pushed[pe] >= depth:
                fire = max(fire, popped[pe, pushed[pe] % depth] + 1)
        for pe in range(pes):
            cost = held[column, pe]
            if cost:
                issue = max(fire + 2, taken[pe])
                taken[pe] = max(issue + 1, end[pe])
                end[pe] = taken[pe] + cost
                popped[pe, pushed[pe] % depth] = issue
                pushed[pe] += 1
    return end.max()
