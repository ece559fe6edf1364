"""Compiled networks on the RTL of the N:M tile, beside the golden model and the cycle model, which it must equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mma.play import run_gemm
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.cycles import gemm_cycles, peak_rate
from zeroskip.model.mma.golden import gemm
from zeroskip.model.mma.network import run


@dataclass(frozen=True, kw_only=True, eq=False)
class MmaVerification:
    """What the RTL made of a batch: `outputs` (float32, images x outputs); `cycles` of each layer over all images
    (int64, layers); `mismatches`, the values of D in all layers that differ from the golden model given the same
    operands; whether the cycles are those of the cycle model; and activations that outgrew the tile's format."""

    network: MmaNetwork
    outputs: NDArray[np.float32]
    cycles: NDArray[np.int64]
    values: int
    mismatches: int
    cycle_model_equal: bool
    illegal: bool
    overflows: int

    @property
    def images(self) -> int:
        return len(self.outputs)

    @property
    def equal(self) -> bool:
        return self.mismatches == 0 and self.cycle_model_equal and not self.illegal

    @property
    def utilisation(self) -> float:
        """Products of weights and activations, of all that the multipliers could make in the cycles: all of a dense
        layer's weights, of a sparse one's what the pattern keeps; not padding, nor what lies between a convolution's
        groups."""
        network = self.network
        groups = [getattr(stage, "groups", 1) for stage in network.stages for _ in stage.layers]
        useful = sum(
            peak_rate(
                network.geometry,
                layer.outputs,
                starts * self.images,
                layer.inputs // split,
                dense=not layer.sparse,
                cycles=1,
            )
            for layer, starts, split in zip(network.layers, network.starts, groups, strict=True)
        )
        return useful / int(self.cycles.sum())

    def summary(self) -> dict[str, Any]:
        """The figures that the commands print as JSON."""
        return {
            "images": self.images,
            "tile": [self.network.geometry.m, self.network.geometry.n, self.network.geometry.k],
            "cycles_per_image": float(self.cycles.sum()) / self.images,
            "cycles_by_layer": (self.cycles / self.images).tolist(),
            "sparse_layers": [layer.sparse for layer in self.network.layers],
            "utilisation": self.utilisation,
            "overflows": self.overflows,
            "mismatches": self.mismatches,
            "cycle_model_equal": self.cycle_model_equal,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same for people."""
        geometry = self.network.geometry
        by_layer = zip(self.cycles / self.images, self.network.layers, strict=True)
        return [
            ("images on RTL", f"{self.images:,}"),
            ("tile", f"{geometry.m} x {geometry.n} x {geometry.k}, {geometry.dtype}, {geometry.generation}"),
            ("cycles an image", f"{self.cycles.sum() / self.images:,.1f}"),
            (
                "cycles by layer",
                " + ".join(f"{count:,.1f}{'' if layer.sparse else ' (dense)'}" for count, layer in by_layer),
            ),
            ("multipliers busy", f"{self.utilisation:.1%}"),
            ("activations that overflowed", f"{self.overflows:,}"),
            ("cycle model", "equal" if self.cycle_model_equal else "NOT EQUAL"),
            ("RTL against golden model", f"{self.mismatches:,} of {self.values:,} values differ"),
        ]


def verify(
    network: MmaNetwork,
    inputs: NDArray[np.float32],
    *,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> MmaVerification:
    """Runs a batch (float32, images x values), every product of it on the RTL and on the golden model; what the RTL
    gives goes on. `progress` is called with the number of images done."""
    geometry = network.geometry
    cycles = np.zeros(len(network.layers), np.int64)
    values = mismatches = 0
    equal, illegal = True, False
    done = np.zeros(len(network.layers), np.int64)

    def multiply(layer: int, b: NDArray[Any], c: NDArray[Any]) -> NDArray[Any]:
        nonlocal values, mismatches, equal, illegal
        operand = network.operands[layer]
        made = run_gemm(operand, b, c, geometry, simulator=simulator, seed=seed)
        predicted = gemm_cycles(geometry, operand.rows, b.shape[1], operand.columns, dense=operand.dense)
        values += made.d.size
        mismatches += int(np.count_nonzero(made.d != gemm(operand, b, c, geometry)))
        equal &= made.cycles == predicted
        illegal |= made.illegal
        cycles[layer] += made.cycles
        done[layer] += b.shape[1]
        progress(int(np.mean(done / np.array(network.starts))))
        return made.d

    result = run(network, inputs, multiply)
    return MmaVerification(
        network=network,
        outputs=result.outputs,
        cycles=cycles,
        values=values,
        mismatches=mismatches,
        cycle_model_equal=equal,
        illegal=illegal,
        overflows=result.overflows,
    )
