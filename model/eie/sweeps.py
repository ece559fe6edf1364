"""Sweeps over the geometry of the EIE array with the exact cycle model, as plain data.

The paper (Han et al., ISCA 2016) varies one size at a time around 64 processing elements (PEs), queues of 8 columns,
words of 8 entries and 4-bit counts of zeros. These sweeps do the same; each has the name of the size that it varies:

    queue_depth   figure 8     cycles, and how much of them is work on weights
    word_bits     figure 9     reads of the sparse-matrix memories
    pes           11, 12, 13   speed-up, padding entries, utilisation
    index_bits    (in text)    storage

Work counts the weights in columns whose activation is not zero. Utilisation is work divided by (PEs x cycles). The
paper calls it load balance, but counts padding entries as work, too.
"""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from statistics import geometric_mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.cycles import run
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.paper_layers import PaperLayer
from zeroskip.model.eie.shared import SharedLayer
from zeroskip.model.eie.storage import storage
from zeroskip.model.processes import end_processes

PAPER = EieGeometry()
"""The paper's array: the sizes that a sweep does not vary."""

QUEUE_DEPTHS = tuple(1 << n for n in range(9))
PES = tuple(1 << n for n in range(9))
ENTRIES_PER_WORD = (4, 8, 16, 32, 64)
INDEX_BITS = tuple(range(2, 9))

SWEEPS = ("queue_depth", "word_bits", "pes", "index_bits")

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Encoding:
    """The sizes for which a layer is encoded; every point of every sweep belongs to one of these."""

    pes: int
    index_bits: int


ENCODINGS = (
    *(Encoding(pes, PAPER.index_bits) for pes in PES),
    *(Encoding(PAPER.pes, bits) for bits in INDEX_BITS if bits != PAPER.index_bits),
)


def reads(pointers: NDArray[np.integer[Any]], active: NDArray[np.bool_], entries_per_word: int) -> int:
    """Words that all PEs read: in each active column, those that the column's entries touch.

    `pointers` (pes x (columns + 1)) are entry numbers. A word that two columns share is read for each of them.
    """
    first, last = pointers[:, :-1][:, active].astype(np.int64), pointers[:, 1:][:, active].astype(np.int64)
    words = (last - 1) // entries_per_word - first // entries_per_word + 1
    return int(words[last > first].sum())


def measure(layer: SharedLayer, activations: NDArray[np.float32], encoding: Encoding) -> dict[str, list[Row]]:
    """The rows of each sweep that one encoding of a layer without bias gives, for one input vector (inputs)."""
    geometry = dataclasses.replace(PAPER, pes=encoding.pes, index_bits=encoding.index_bits)
    network = compile_network([layer], activations[None], geometry, fit=MEMORIES)
    inputs, _ = quantise_inputs(network, activations[None])
    active = inputs[0] != 0
    rows: dict[str, list[Row]] = {sweep: [] for sweep in SWEEPS}

    if encoding.index_bits == PAPER.index_bits:
        work = int(np.count_nonzero(layer.weight_codes[:, active]))
        entries = int(np.diff(network.pointers.astype(np.int64), axis=1)[:, active].sum())
        cycles = _cycles(network, inputs, PAPER.queue_depth)
        rows["pes"].append(
            {
                "pes": encoding.pes,
                "cycles": cycles,
                "utilisation": work / (encoding.pes * cycles),
                "entries": entries,
                "real_work": work / entries,
            }
        )
        if encoding.pes == PAPER.pes:
            for depth in QUEUE_DEPTHS:
                cycles = _cycles(network, inputs, depth)
                rows["queue_depth"].append(
                    {"queue_depth": depth, "cycles": cycles, "utilisation": work / (encoding.pes * cycles)}
                )
            for per_word in ENTRIES_PER_WORD:
                count = reads(network.pointers, active, per_word)
                bits = per_word * geometry.entry_bits
                rows["word_bits"].append(
                    {"word_bits": bits, "entries_per_word": per_word, "reads": count, "bits_read": count * bits}
                )
    if encoding.pes == PAPER.pes:
        rows["index_bits"].append(_storage(network, int(np.count_nonzero(layer.weight_codes))))
    return rows


def _cycles(network: EieNetwork, inputs: NDArray[np.int16], queue_depth: int) -> int:
    geometry = dataclasses.replace(network.geometry, queue_depth=queue_depth)
    return int(run(dataclasses.replace(network, geometry=geometry), [inputs])[0, 0])


def _storage(network: EieNetwork, weights: int) -> Row:
    """Bits of one layer's memory image without the codebook, whose size does not depend on the index bits."""
    geometry, stored = network.geometry, storage(network)
    entries = int(network.pointers[:, -1].astype(np.int64).sum())
    return {
        "index_bits": geometry.index_bits,
        "entries": entries,
        "padding": entries - weights,
        "weights_bits": weights * geometry.entry_bits,
        # The unused end of the last word of each PE is padding too.
        "padding_bits": stored.entries - weights * geometry.entry_bits,
        "pointers_bits": stored.pointers,
        "total_bits": stored.entries + stored.pointers,
    }


@functools.lru_cache(maxsize=1)
def _made(layer: PaperLayer, seed: int) -> tuple[SharedLayer, NDArray[np.float32]]:
    return layer.make(seed)


def _measure(layer: PaperLayer, seed: int, encoding: Encoding) -> dict[str, list[Row]]:
    shared, activations = _made(layer, seed)
    return measure(shared, activations, encoding)


def _facts(layer: PaperLayer, seed: int) -> Row:
    shared, activations = _made(layer, seed)
    active = activations != 0
    return {
        "layer": layer.name,
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "weights": int(np.count_nonzero(shared.weight_codes)),
        "active_columns": int(np.count_nonzero(active)),
        "work": int(np.count_nonzero(shared.weight_codes[:, active])),
        "paper_theoretical_us": layer.theoretical,
        "paper_actual_us": layer.actual,
    }


def sweep(
    layers: Sequence[PaperLayer], *, seed: int, processes: int = 1, advance: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """All sweeps of `layers`. `advance` is called `steps(layers)` times.

    Each of SWEEPS is a list of rows, by layer and by the size that it varies; `layers` describes the layers, and
    `fixed` holds the sizes that a sweep does not vary. `geomean` holds the same rows over all layers.
    """
    if not layers:
        raise ValueError("layers must be at least one, not none")
    # The matrices are large and the results small: each process makes the layers itself.
    tasks = [(layer, encoding) for layer in layers for encoding in (None, *ENCODINGS)]
    results: list[Any] = [None] * len(tasks)
    for index, result in _results(tasks, seed, processes):
        results[index] = result
        advance()

    rows: dict[str, list[Row]] = {sweep: [] for sweep in SWEEPS}
    facts: list[Row] = []
    for (layer, encoding), result in zip(tasks, results, strict=True):
        if encoding is None:
            facts.append(result)
        else:
            for name in SWEEPS:
                rows[name] += [{"layer": layer.name, **row} for row in result[name]]
    rows["index_bits"].sort(key=lambda row: ([x["layer"] for x in facts].index(row["layer"]), row["index_bits"]))
    alone = {row["layer"]: row["cycles"] for row in rows["pes"] if row["pes"] == 1}
    for row in rows["pes"]:
        row["speedup"] = alone[row["layer"]] / row["cycles"]
    return {
        "seed": seed,
        "fixed": {
            "pes": PAPER.pes,
            "queue_depth": PAPER.queue_depth,
            "word_bits": PAPER.word_bits,
            "index_bits": PAPER.index_bits,
            "code_bits": PAPER.code_bits,
        },
        "layers": facts,
        **rows,
        "geomean": {
            "queue_depth": _geomeans(rows["queue_depth"], "queue_depth", ("cycles", "utilisation")),
            "word_bits": _geomeans(rows["word_bits"], "word_bits", ("reads", "bits_read")),
            "pes": _geomeans(rows["pes"], "pes", ("cycles", "speedup", "utilisation", "real_work")),
            "index_bits": _geomeans(rows["index_bits"], "index_bits", ("total_bits",)),
        },
    }


def steps(layers: Sequence[PaperLayer]) -> int:
    """How often `sweep` calls `advance`."""
    return len(layers) * (1 + len(ENCODINGS))


def _results(
    tasks: list[tuple[PaperLayer, Encoding | None]], seed: int, processes: int
) -> Iterator[tuple[int, Row | dict[str, list[Row]]]]:
    """Index and result of each task, in the order in which they end."""
    if processes == 1:
        for index, (layer, encoding) in enumerate(tasks):
            yield index, _facts(layer, seed) if encoding is None else _measure(layer, seed, encoding)
        return
    # Spawned, not forked: the machine code of numba and the threads of BLAS do not survive a fork.
    executor = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        # Ctrl-C in a terminal goes to all processes: this one handles it, and ends the others.
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    others = multiprocessing.active_children()
    try:
        futures = {
            executor.submit(_facts, layer, seed)
            if encoding is None
            else executor.submit(_measure, layer, seed, encoding): index
            for index, (layer, encoding) in enumerate(tasks)
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException:
        end_processes(but=others)
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _geomeans(rows: list[Row], key: str, fields: Sequence[str]) -> list[Row]:
    return [
        {key: value, **{field: geometric_mean([r[field] for r in rows if r[key] == value]) for field in fields}}
        for value in sorted({row[key] for row in rows})
    ]
