"""Runs sparse networks in int8 on two RTL cores, and compares every number with torch's vectors.

For each layer the mapping unit finds the map, and the N:M tile multiplies the features of all pairs of an offset by its
weights: D = A B, A the weights (out x in channels, dense or 2:4), B the gathered features (in channels x pairs). The
host gathers, adds each product to the sum of its output, and requantises (zeroskip.model.sparseconv.int8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.cosim.mapping.play import LayerRun, run_layer
from zeroskip.cosim.mma.design import gemm_design
from zeroskip.cosim.mma.play import check_gemm, expected_cycles, plan_of, play_gemm
from zeroskip.cosim.session import Session
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mapping.layer_npz import LayerFile, fitted_geometry
from zeroskip.model.mma.gemm import Operand, dense_operand, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.model.sparseconv.vectors import FLOORED, SAME, LayerVectors, SparseVectors, VectorLayer


def tile_geometry(*, m: int, n: int) -> TileGeometry:
    """The tile that multiplies int8 into int32 sums that wrap, with 2:4 metadata."""
    return mode_geometry(generation="A100", dtype="int8", out="int32", m=m, n=n)


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseLayerRun:
    """A layer on both cores, compared with the vectors of torch.

    `mapping` is the run of the mapping unit, itself compared with its models; `outputs` (int8, voxels x channels) are
    the layer's features. `triples` (with the coordinates of the outputs), `products`, `sums` and `feats` are numbers
    that differ from the vectors, `values` all that were compared. `tile_values` of the tile's results were compared
    with its golden model, `tile_mismatches` of them differ. `tile_cycles` are those of all jobs of the tile (`gemms`
    products), `expected_tile_cycles` those of its cycle model, job by job equal where `tile_model_equal`.
    """

    layer: VectorLayer
    pairs: int
    mapping: LayerRun
    outputs: NDArray[np.int8]
    triples: int
    products: int
    sums: int
    feats: int
    values: int
    gemms: int
    tile_values: int
    tile_mismatches: int
    tile_cycles: int
    expected_tile_cycles: int
    tile_model_equal: bool
    waveform: Path | None
    """The waveform of the first failing jobs of the tile."""

    @property
    def mismatches(self) -> int:
        """Numbers that differ from torch's or from a golden model."""
        return self.triples + self.products + self.sums + self.feats + self.tile_mismatches + self.mapping.mismatches

    @property
    def model_equal(self) -> bool:
        """Whether the cycles of both cores are those of their models."""
        return self.mapping.cycle_model_equal and self.tile_model_equal

    @property
    def equal(self) -> bool:
        """Whether every number and every cycle is right."""
        return self.mismatches == 0 and self.model_equal and self.mapping.equal

    def summary(self) -> dict[str, Any]:
        """The result as JSON."""
        waveforms = [path for path in (self.mapping.waveform, self.waveform) if path is not None]
        return {
            "in_channels": self.layer.in_channels,
            "out_channels": self.layer.out_channels,
            "size": list(self.layer.size),
            "stride": list(self.layer.stride),
            "pattern": self.layer.pattern,
            "inputs": len(self.mapping.plan.inputs.found),
            "outputs": len(self.mapping.outputs),
            "pairs": self.pairs,
            "mapping_cycles": self.mapping.cycles,
            "tile_cycles": self.tile_cycles,
            "products": self.gemms,
            "values": self.values + self.tile_values + self.mapping.values,
            "mismatches": self.mismatches,
            "equal": self.equal,
            "model_equal": self.model_equal,
            "waveforms": [str(path) for path in waveforms],
        }


def run_network(
    vectors: SparseVectors,
    *,
    width: int = 8,
    tile: TileGeometry | None = None,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
    announce: Callable[[str], None] = lambda _: None,
    on_products: Callable[[int, int], None] = lambda done, total: None,
) -> list[SparseLayerRun]:
    """Runs all layers on the RTL of a mapping unit of `width` keys a cycle and of a `tile` for int8 (tile_geometry of 4
    x 4 where it is None). The features of a layer are those that the layer before gave on the RTL.

    Where the unit's map is not that of the vectors, this is counted, and the products are those of the vectors' map.
    The memories start with random contents by `seed`. Waveforms of the first failures are written to the cache folder.
    `announce` is called with a description before any work that takes longer than a second, `on_products` with the
    products done, and all of them.

    Raises ValueError for a layer that does not fit the cores, naming it, SimulatorError if the simulator is missing or
    fails.
    """
    tile = tile or tile_geometry(m=4, n=4)
    runs: list[SparseLayerRun] = []
    feats = vectors.feats[0]
    total = sum(len(_parts(own)) for own in vectors.vectors)
    with Session(
        gemm_design(tile),
        simulator=simulator,
        seed=seed,
        announce=announce,
    ) as session:
        for number, layer in enumerate(vectors.layers):
            announce(f"finding the map of layer {number}")
            done = sum(run.gemms for run in runs)
            product = _Products(session, tile, layer, vectors.vectors[number], feats)
            try:
                mapping, wrong_triples = _map(vectors, number, width, simulator, seed, announce)
                product.run(lambda own, done=done: on_products(done + own, total))  # type: ignore[misc]
            except ValueError as error:
                raise ValueError(f"layers[{number}]: {error}") from error
            wrong_feats = product.different(product.feats, vectors.feats[number + 1])
            runs.append(product.checked(mapping, wrong_triples, wrong_feats, session.waveform))
            feats = product.feats
    return runs


def _map(
    vectors: SparseVectors,
    number: int,
    width: int,
    simulator: Simulator,
    seed: int,
    announce: Callable[[str], None],
) -> tuple[LayerRun, int]:
    """The map on the RTL, and how many of its numbers differ from the vectors'."""
    layer, before, after = vectors.layers[number], vectors.coords[number], vectors.coords[number + 1]
    powers = all(step & (step - 1) == 0 for step in layer.stride)
    finds = layer.outputs == FLOORED and powers
    places = layer.places(after)
    points = LayerFile(
        inputs=before,
        offsets=layer.offsets(),
        outputs=None if layer.outputs == SAME or finds else places,
        strides=layer.stride if finds else None,
    )
    run = run_layer(
        before,
        points.offsets,
        fitted_geometry(points, width=width),
        outputs=points.outputs,
        strides=points.strides,
        simulator=simulator,
        seed=seed,
        announce=announce,
    )
    # The unit sorts outputs; torch's rows are in the order of the coordinates that it was given.
    triples = run.triples[np.lexsort((run.triples[:, 2], run.triples[:, 0]))]
    expected = vectors.vectors[number].triples
    wrong = _count_different(triples, expected)
    ordered = run.outputs[np.argsort(run.output_rows)]
    return run, wrong + _count_different(ordered, places)


def _count_different(made: NDArray[Any], expected: NDArray[Any]) -> int:
    """Numbers that differ, or stand in one of the two alone."""
    both = min(len(made), len(expected))
    return int(np.count_nonzero(made[:both] != expected[:both])) + abs(made.size - expected.size)


def _parts(own: LayerVectors) -> list[tuple[int, slice]]:
    """The elements that have pairs, and where these stand."""
    if not len(own.triples):
        return []
    elements, starts = np.unique(own.triples[:, 0], return_index=True)
    ends = [*starts[1:].tolist(), len(own.triples)]
    return [(int(element), slice(int(start), end)) for element, start, end in zip(elements, starts, ends, strict=True)]


class _Products:
    """The products of one layer on the tile, their sums, and how they differ from the vectors."""

    def __init__(
        self,
        session: Session,
        tile: TileGeometry,
        layer: VectorLayer,
        own: LayerVectors,
        feats: NDArray[np.int8],
    ) -> None:
        self._session, self._tile, self._layer, self._own = session, tile, layer, own
        self._rows = feats[own.triples[:, 1]]
        self._made = np.zeros_like(own.products)
        self._sums = np.tile(own.bias, (len(own.sums), 1))
        self._parts = _parts(own)
        self._values = 0
        self._wrong_bits, self._bits = 0, 0
        self._cycles, self._expected, self._model_equal = 0, 0, True

    def run(self, on_products: Callable[[int], None]) -> None:
        """Multiplies, adds and requantises."""
        for done, (element, pairs) in enumerate(self._parts, start=1):
            products = self._multiply(self._own.kernel[element], self._rows[pairs])
            self._made[pairs] = products
            # An element meets each output once at most, and int32 wraps.
            self._sums[self._own.triples[pairs, 2]] += products
            on_products(done)
        self.feats: NDArray[np.int8] = self._layer.requantisation.apply(torch.from_numpy(self._sums)).numpy()

    def _multiply(self, weights: NDArray[np.int8], rows: NDArray[np.int8]) -> NDArray[np.int32]:
        """rows (pairs x in) by weights (in x out) on the tile, compared with its models."""
        operand = self._operand(weights)
        b = np.ascontiguousarray(rows.T).view(np.uint8)
        c = np.zeros((operand.rows, b.shape[1]), np.uint32)
        run = play_gemm(self._session, operand, b, c, self._tile)
        checked = check_gemm(run, operand, b, c, self._tile)
        if checked.failing is not None:
            self._session.fail(checked.failing)
        self._wrong_bits += checked.mismatches
        self._bits += run.d.size
        self._cycles += run.cycles
        self._expected += sum(expected_cycles(plan_of(operand, b, self._tile), self._tile))
        self._model_equal &= checked.cycle_model_equal
        return run.d.T.view(np.int32)

    def _operand(self, weights: NDArray[np.int8]) -> Operand:
        bits = np.ascontiguousarray(weights.T).view(np.uint8)
        if self._layer.pattern == "dense":
            return dense_operand(bits, self._tile.pattern)
        return sparse_operand(bits, self._tile.pattern, dtype=self._tile.dtype)

    def different(self, made: NDArray[Any], expected: NDArray[Any]) -> int:
        """Numbers that differ."""
        self._values += expected.size
        return _count_different(made, expected)

    def checked(self, mapping: LayerRun, triples: int, feats: int, waveform: Path | None) -> SparseLayerRun:
        """The layer, compared."""
        products = self.different(self._made, self._own.products)
        sums = self.different(self._sums, self._own.sums)
        return SparseLayerRun(
            layer=self._layer,
            pairs=len(self._own.triples),
            mapping=mapping,
            outputs=self.feats,
            triples=triples,
            products=products,
            sums=sums,
            feats=feats,
            values=self._values + self._own.triples.size + mapping.outputs.size,
            gemms=len(self._parts),
            tile_values=self._bits,
            tile_mismatches=self._wrong_bits,
            tile_cycles=self._cycles,
            expected_tile_cycles=self._expected,
            tile_model_equal=self._model_equal,
            waveform=waveform,
        )
