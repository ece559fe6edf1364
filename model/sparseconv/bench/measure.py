"""The measurements of `zeroskip bench sparseconv` on scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch

from zeroskip.model.progress import Progress, Step
from zeroskip.model.sparseconv.bench.layer import STEPS, Layer, operands
from zeroskip.model.sparseconv.bench.peers import Peer, installed
from zeroskip.model.sparseconv.bench.scenes import Scene, surface
from zeroskip.model.sparseconv.bench.timing import in_turn, timed

OURS, PLAIN, PRODUCTS = "zeroskip", "torch", "products"
_BLOCK = 4096
"""Rows that stay in the cache with their results."""
TOLERANCE = 1e-5
"""Largest difference of float32 sums, relative to the largest sum, that counts as equal."""


def measure_scene(
    scene: Scene, channels: tuple[int, int], *, repeats: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """Medians of each step in ms, here, by plain torch, and by each peer that is installed, and how far sums differ."""
    feats, weight = operands(scene, channels, seed)
    layers = {OURS: Layer(scene, feats, weight, "auto"), PLAIN: Layer(scene, feats, weight, "reference")}
    times: dict[str, dict[str, float]] = {OURS: {}, PLAIN: {}}
    with ExitStack() as stack:
        peers = {name: stack.enter_context(Peer(name, scene, feats, weight)) for name in installed(scene)}
        for number, step in enumerate(STEPS):
            progress(Step(task=f"{scene.name}, {step}", done=number, total=len(STEPS)))
            runs = {name: timed(getattr(layer, step)) for name, layer in layers.items()}
            runs |= {name: peer.step(step) for name, peer in peers.items() if step in peer.steps}
            if step == "conv":
                runs[PRODUCTS] = timed(products(len(layers[OURS].kmap.inputs), weight[0]))
            for name, median in in_turn(runs, repeats).items():
                times.setdefault(name, {})[step] = 1000 * median
        sums = layers[OURS].end_to_end().feats
        results = {PLAIN: layers[PLAIN].end_to_end().feats, **{name: peer.result() for name, peer in peers.items()}}
    largest = float(sums.abs().max())
    errors = {name: float((sums - other).abs().max()) / largest for name, other in results.items()}
    own, multiplied = times.pop(OURS), times.pop(PRODUCTS)
    return {
        "name": scene.name,
        "voxels": len(scene.coords),
        "pairs": len(layers[OURS].kmap.inputs),
        "channels": list(channels),
        **{f"{step}_ms": own[step] for step in STEPS},
        "matmul_ms": multiplied["conv"],
        "peers": {
            name: {**{f"{step}_ms": time for step, time in of_peer.items()}, "error": errors[name]}
            for name, of_peer in times.items()
        },
        "ratios": {name: {step: time / own[step] for step, time in of_peer.items()} for name, of_peer in times.items()},
        "equal": all(error <= TOLERANCE for error in errors.values()),
    }


def products(pairs: int, matrix: torch.Tensor) -> Callable[[], object]:
    """The multiplications of so many pairs by torch, in blocks that stay in the cache: nothing is gathered or added up.
    What a layer takes at least, if torch's products are the fastest."""
    rows = torch.ones(_BLOCK, matrix.shape[0], device=matrix.device)
    result = torch.empty(_BLOCK, matrix.shape[1], device=matrix.device)

    def run() -> None:
        for first in range(0, pairs, _BLOCK):
            count = min(_BLOCK, pairs - first)
            torch.mm(rows[:count], matrix, out=result[:count])

    return run


def measure_growth(
    sizes: Sequence[int], channels: tuple[int, int], *, device: str, repeats: int, seed: int, progress: Progress
) -> list[dict[str, Any]]:
    """Map and convolution of surfaces of these sizes, here and by plain torch."""
    rows = []
    for number, size in enumerate(sizes):
        progress(Step(task="growth", done=number, total=len(sizes)))
        scene = surface(size).on(device)
        feats, weight = operands(scene, channels, seed)
        layers = {OURS: Layer(scene, feats, weight, "auto"), PLAIN: Layer(scene, feats, weight, "reference")}
        found = {
            step: in_turn({name: timed(getattr(layer, step)) for name, layer in layers.items()}, repeats)
            for step in ("map", "conv")
        }
        rows.append(
            {
                "voxels": len(scene.coords),
                **{f"{step}_ms": 1000 * times[OURS] for step, times in found.items()},
                **{f"torch_{step}_ms": 1000 * times[PLAIN] for step, times in found.items()},
            }
        )
    return rows


def deterministic(scene: Scene, channels: tuple[int, int], *, runs: int, seed: int) -> bool:
    """Whether the sums and gradients of `runs` new tensors have equal bits, at one thread and at two."""
    feats, weight = operands(scene, channels, seed)
    threads = torch.get_num_threads()
    first: list[torch.Tensor] | None = None
    try:
        for run in range(runs):
            torch.set_num_threads(1 + run % 2)
            layer = Layer(scene, feats, weight, "auto")
            layer.train()
            assert layer.trained.feats.grad is not None
            assert layer.parameter.grad is not None
            found = [layer.end_to_end().feats, layer.trained.feats.grad, layer.parameter.grad]
            first = first or found
            if not all(map(torch.equal, found, first)):
                return False
    finally:
        torch.set_num_threads(threads)
    return True
