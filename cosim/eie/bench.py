"""The paper's nine layers on the RTL, compared with the paper and with the same product on this machine."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from zeroskip.cosim.eie.record import ACTIVITIES
from zeroskip.cosim.simulator import LoadName
from zeroskip.cosim.verify import verify
from zeroskip.model.bits import power_of_two_at_least
from zeroskip.model.eie import cycles
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.paper_layers import CALIBRATION_SAMPLES, PAPER_LAYERS, PaperLayer
from zeroskip.model.eie.shared import SharedLayer

CLOCK_MHZ = 800
"""The paper's clock (Table II)."""

REPEATS = 5
"""Runs of the reference; their median counts."""


def paper_geometry(geometry: EieGeometry, layers: list[PaperLayer]) -> EieGeometry:
    """`geometry` with the paper's 128 KB of entries a PE, and more if there are fewer PEs than its 64; with pointers
    and activation rows for all of `layers`, so that they share one build."""
    longest = max(max(layer.inputs, layer.outputs) for layer in layers)
    rows = -(-longest // geometry.window) * geometry.rows_per_window
    return dataclasses.replace(
        geometry,
        entry_words=power_of_two_at_least(128 * 1024 * 8 // geometry.word_bits * max(1, 64 // geometry.pes)),
        pointers=max(layer.inputs for layer in layers) + 2,
        activation_rows=rows,
        layers=1,
    )


def calibration_seed(seed: int) -> int:
    """The seed of the activations by which the load is balanced, where those of the run have `seed`."""
    return seed + 1


def bench_layer(
    paper: PaperLayer,
    geometry: EieGeometry,
    *,
    seed: int,
    balance_load: bool,
    on_rtl: bool,
    load: LoadName = "direct",
) -> dict[str, Any]:
    """One layer's row: see `zeroskip bench eie --help` for the fields."""
    layer, activations = paper.make(seed)
    # The load is balanced without a look at the activations with which it is measured.
    network = compile_network(
        [layer],
        activations[None],
        geometry,
        balance_load=balance_load,
        balance_on=paper.calibration(calibration_seed(seed)) if balance_load else None,
    )
    inputs, _ = quantise_inputs(network, activations[None])
    useful = int((layer.weight_codes[:, inputs[0] != 0] != 0).sum())

    cycles.run(network, [inputs])  # machine code is compiled once, and not timed
    start = time.perf_counter()
    predicted = int(cycles.run(network, [inputs]).sum()) + cycles.START_TO_DONE
    row: dict[str, Any] = {"name": paper.name, "cycles": predicted, "model_seconds": time.perf_counter() - start}
    if on_rtl:
        start = time.perf_counter()
        verification = verify(network, inputs, load=load)
        row["rtl_seconds"] = time.perf_counter() - start
        row["cycles"] = int(verification.cycles[0])
        lost = verification.run.activity.sum(axis=0)
        everything = row["cycles"] * geometry.pes
        row["lost"] = {name: float(count / everything) for name, count in zip(ACTIVITIES[1:], lost[1:], strict=True)}
        row["golden_equal"] = verification.mismatches == 0
        row["cycle_model_equal"] = verification.cycle_model_equal
    row["microseconds"] = row["cycles"] / CLOCK_MHZ
    row["paper_actual"] = paper.actual
    row["ratio"] = row["microseconds"] / paper.actual
    row["utilisation"] = useful / (geometry.pes * row["cycles"])
    row["reference"] = reference_microseconds(layer, activations)
    return row


def reference_microseconds(layer: SharedLayer, activations: NDArray[np.float32]) -> dict[str, float]:
    """Medians of matrix-vector products on this machine, batch 1: torch dense and SciPy CSR, float32."""
    weight = layer.weight
    dense, vector = torch.from_numpy(weight), torch.from_numpy(activations)
    sparse = scipy.sparse.csr_matrix(weight)
    return {
        "torch_dense": _median(lambda: torch.mv(dense, vector)),
        "scipy_csr": _median(lambda: sparse @ activations),
    }


def _median(product: Callable[[], Any]) -> float:
    product()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        product()
        taken.append((time.perf_counter() - start) * 1e6)
    return float(np.median(taken))


def bench(
    names: list[str],
    geometry: EieGeometry,
    *,
    seed: int,
    balance_load: bool,
    on_rtl: bool,
    load: LoadName = "direct",
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Rows of the layers `names` (all where empty), and geometric means. Raises ValueError for an unknown name."""
    known = {layer.name: layer for layer in PAPER_LAYERS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"layers must be among {', '.join(known)}, not {', '.join(unknown)}")
    layers = [known[name] for name in names or known]
    sized = paper_geometry(geometry, layers)
    rows = []
    for layer in layers:
        progress(layer.name)
        rows.append(bench_layer(layer, sized, seed=seed, balance_load=balance_load, on_rtl=on_rtl, load=load))
    calibration = {"seed": calibration_seed(seed), "samples": CALIBRATION_SAMPLES} if balance_load else None
    return {
        "layers": rows,
        "geometry": dataclasses.asdict(sized),
        "seed": seed,
        "calibration": calibration,
        "geomean_ratio": _geomean([row["ratio"] for row in rows]),
        "geomean_utilisation": _geomean([row["utilisation"] for row in rows]),
        "model_seconds": sum(row["model_seconds"] for row in rows),
        "rtl_seconds": sum(row.get("rtl_seconds", 0.0) for row in rows),
    }


def _geomean(values: list[float]) -> float:
    return float(np.exp(np.log(values).mean()))
