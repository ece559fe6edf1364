"""A compiled network on the RTL, beside the golden model and the cycle model, which it must equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.eie.play import EieRun, play
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.eie import cycles as cycles
from zeroskip.model.eie import golden as golden
from zeroskip.model.eie.bundle import EieNetwork


@dataclass(frozen=True, kw_only=True, eq=False)
class Verification:
    """`mismatches` counts the outputs that differ between RTL and golden model, over all starts of all images, those
    of a convolution at each position; `cycle_model_equal` is true where the cycles of every layer of every image, and
    from `start` to `done`, are as predicted."""

    network: EieNetwork
    run: EieRun
    golden: list[golden.LayerRun]
    mismatches: int
    cycle_model_equal: bool

    @property
    def outputs(self) -> NDArray[np.int16]:
        """The network's outputs as the RTL gave them, in the user's order (int16, images x outputs)."""
        return self.run.outputs[:, self.network.order]

    @property
    def saturated(self) -> dict[str, int]:
        return {
            "sums": sum(int(layer.saturated_sums.sum()) for layer in self.golden),
            "outputs": sum(int(layer.saturated_outputs.sum()) for layer in self.golden),
        }

    @property
    def equal(self) -> bool:
        return self.mismatches == 0 and self.cycle_model_equal

    def summary(self) -> dict[str, Any]:
        """The figures that the commands print as JSON."""
        counts = self.run.cycles
        return {
            "images": len(counts),
            "pes": len(self.run.activity),
            "cycles_per_image": {
                "mean": float(counts.mean()),
                "min": int(counts.min()),
                "max": int(counts.max()),
            },
            "cycles_by_layer": self.run.layer_cycles.mean(axis=0).tolist(),
            "utilisation": self.run.utilisation,
            "saturated": self.saturated,
            "mismatches": self.mismatches,
            "cycle_model_equal": self.cycle_model_equal,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same for people."""
        figures = self.summary()
        counts = figures["cycles_per_image"]
        return [
            ("images on RTL", f"{figures['images']:,}"),
            ("PEs", str(figures["pes"])),
            ("cycles an image", f"{counts['mean']:,.1f} ({counts['min']:,} to {counts['max']:,})"),
            ("cycles by layer", " + ".join(f"{count:,.1f}" for count in figures["cycles_by_layer"])),
            ("utilisation", f"{figures['utilisation']:.1%}"),
            ("saturated sums, outputs", f"{self.saturated['sums']:,}, {self.saturated['outputs']:,}"),
            ("cycle model", "equal" if self.cycle_model_equal else "NOT EQUAL"),
            ("RTL against golden model", f"{self.mismatches:,} mismatches"),
        ]


def verify(
    network: EieNetwork,
    inputs: NDArray[np.int16],
    *,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Runs a batch (int16, images x inputs) on all three. `progress` is called with the images done on the RTL."""
    layers = golden.run(network, inputs)
    predicted = cycles.run(network, [layer.inputs for layer in layers])
    run = play(network, inputs, simulator=simulator, seed=seed, progress=progress)
    totals = predicted.sum(axis=1) + cycles.START_TO_DONE * network.starts_per_image
    expected = [layers[stage.layers[-1]].outputs for stage in network.stages if stage.layers]
    return Verification(
        network=network,
        run=run,
        golden=layers,
        mismatches=sum(int((a != b).sum()) for a, b in zip(run.stage_outputs, expected, strict=True)),
        cycle_model_equal=np.array_equal(run.layer_cycles, predicted) and np.array_equal(run.cycles, totals),
    )
