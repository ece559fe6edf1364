"""The EIE array on a board: as the driver of its co-simulation, but over the link."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.driver import RtlRun, StageRun
from zeroskip.cosim.eie.driver import EieDriver
from zeroskip.cosim.eie.models import run_models
from zeroskip.cosim.session import most_cycles
from zeroskip.fpga.board import BoardSession
from zeroskip.fpga.eie.bursts import (
    input_burst,
    input_words,
    layout_digest,
    matrix_bursts,
    network_digest,
    table_bursts,
)
from zeroskip.fpga.eie.dense import dense_layers
from zeroskip.fpga.eie.linked import array_sizes
from zeroskip.fpga.host.host import BoardError, Host
from zeroskip.fpga.host.requests import Request, read_requests, run_request
from zeroskip.fpga.identity import require_board
from zeroskip.fpga.torch_rate import TorchRate, torch_rate
from zeroskip.model.bits import bits_for
from zeroskip.model.core import Cycles
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.tiles import one_by_one
from zeroskip.model.network.stages import Stage, rows_together
from zeroskip.model.progress import Progress, Step, silent


class EieBoardDriver(EieDriver):
    """Runs stages on a board: a BoardSession takes the place of the simulator's session."""

    def load(self, host: Host, network: EieNetwork, progress: Progress = silent) -> bool:
        """Loads the network, unless it is inside the bitstream. Returns whether it was loaded. Raises BoardError and
        LineLost."""
        geometry = network.geometry
        layout = layout_digest(geometry)
        require_board(host.pipe.name, host.facts, core="eie", geometry=geometry, layout=layout)
        # A network that was loaded later has taken the place of that in the bitstream, or of a part of it.
        if host.facts.get("network") == network_digest(network) and not host.status().changed:
            return False
        requests = [
            request
            for burst in [*matrix_bursts(network), *table_bursts(network)]
            for request in burst.requests(host.longest)
        ]
        # Each may be repeated by itself: writes change nothing that others need.
        for done, _ in enumerate(host.perform([request] for request in requests)):
            progress(Step(task="loading the network", done=done + 1, total=len(requests), unit="frames"))
        return True

    def session(self, host: Host, network: EieNetwork) -> Any:
        """What `run_stage` takes."""
        return BoardSession(host=host)

    def torch_rate(self, network: EieNetwork, inputs: NDArray[np.int16]) -> TorchRate:
        """The rate of torch on this machine, for the inputs of the first stage."""
        floats = inputs.astype(np.float32) / np.float32(2.0**network.input_fraction)
        return torch_rate(one_by_one(network.stages), dense_layers(network), floats)

    def run_stage(
        self,
        session: Any,
        network: EieNetwork,
        stage: Stage,
        rows: NDArray[np.int16],
        on_rows: Callable[[int], None],
    ) -> Any:
        """Each start is a job of its own: it loads its inputs, so that it may be repeated. The board counts the
        cycles of a start, not those of each layer: where they equal the cycle model's, so do the layers'."""
        models = run_models(network, stage, rows)
        outputs = np.empty_like(models.outputs)
        cycles = np.empty_like(models.cycles)
        jobs = _starts(session.host, network, stage, rows, most_cycles(models.cycles))
        for start, answers in enumerate(session.host.perform(jobs)):
            # Those to the loads are empty.
            run, *results = [answer for answer in answers if answer]
            flags, cycles[start] = run[0], int.from_bytes(run[1:], "little")
            outputs[start] = np.frombuffer(b"".join(results), "<i2")
            if flags:
                raise BoardError(f"{session.host.pipe.name} reports the flags {flags:#x} of start {start}")
            on_rows(start + 1)
        images = len(rows) // rows_together(stage)
        used = models.layer_cycles[:, stage.layers.start : stage.layers.stop]
        return StageRun(
            layers=stage.layers,
            outputs=outputs,
            by_layer=used.reshape(images, rows_together(stage), -1).sum(axis=1),
            totals=cycles.reshape(images, -1).sum(axis=1),
            values=outputs.size,
            mismatches=int((outputs != models.outputs).sum()),
            cycle_model_equal=bool(np.array_equal(cycles, models.cycles)),
            saturated=models.saturated,
            losses=models.losses,
        )

    def finish(
        self, network: EieNetwork, values: NDArray[np.int16], cycles: Cycles, batches: Sequence[Sequence[Any]]
    ) -> Any:
        return RtlRun(values=values, cycles=cycles)


def _starts(
    host: Host, network: EieNetwork, stage: Stage, rows: NDArray[np.int16], limits: NDArray[np.int64]
) -> Iterator[list[Request]]:
    geometry = network.geometry
    first = stage.layers[0].to_bytes(-(-bits_for(geometry.layers) // 8), "little")
    outputs = network.layers[stage.layers[-1]].outputs
    for words, limit in zip(input_words(geometry, rows), limits.tolist(), strict=True):
        yield [
            *input_burst(geometry, words).requests(host.longest),
            run_request(first, limit),
            *read_requests(outputs, array_sizes(geometry).result_bytes),
        ]


DRIVER = EieBoardDriver()
