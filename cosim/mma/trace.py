"""The trace of a run of the N:M tile: jobs, the steps of their sums, the words of B that these read, and results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zeroskip.cosim.mma.waves import GEMM
from zeroskip.cosim.waves.decoder import since_start
from zeroskip.cosim.waves.events import Events, Merged
from zeroskip.cosim.waves.fields import fields
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.layouts import fetch_layout, job_layout

SIGNALS = {
    "offered": f"{GEMM}.start__valid",
    "taken": f"{GEMM}.start__ready",
    "job": f"{GEMM}.start__payload",
    "done": f"{GEMM}.done",
    "runs": f"{GEMM}.sequencer.runs",
    "fetch": f"{GEMM}.sequencer.fetch__valid",
    "step": f"{GEMM}.sequencer.fetch__payload",
    "reads_b": f"{GEMM}.b0.read__en",
    "result": f"{GEMM}.tile.result__valid",
    "word": f"{GEMM}.d0.write__addr",
}


class MmaDecoder:
    """Tracks of jobs, steps and results.

    In the track of the steps each cycle of a job has one slice: a `step` whose words are fetched, `waiting` while steps
    are left (for the first one to get through the sequencer, or for the previous step of its sum, where a job has fewer
    sums than the pipeline has stages), or `draining` while the last ones are in the pipeline. `read` is the moment in
    which a word of B is read, which several steps share.
    """

    clock = "gemm_player.clk"
    signals: Sequence[str] = tuple(SIGNALS.values())
    begins: Sequence[str] = (SIGNALS["offered"], SIGNALS["taken"])

    def __init__(self, geometry: TileGeometry) -> None:
        self._job, self._step = fields(job_layout(geometry)), fields(fetch_layout(geometry))

    def decode(self, cycles: Iterable[Cycle], events: Events) -> None:
        pid = events.process("Tile")
        tracks = [events.track(pid, name) for name in ("jobs", "steps", "results")]
        jobs, waits = (Merged(events, track) for track in tracks[:2])
        now, count = -1, 0
        offers = [list(SIGNALS).index(name) for name in ("offered", "taken")]
        job: tuple[str, str, dict[str, object]] | None = None
        for now, values in since_start(cycles, *offers):
            seen = dict(zip(SIGNALS, values, strict=True))
            begins = seen["offered"] == 1 and seen["taken"] == 1
            if begins:
                job = f"job {count}", "job", {"job": count, **self._job(seen["job"])}
                count += 1
            elif seen["done"]:
                job = None
            jobs.at(now, job)
            of_job: dict[str, object] = {"job": count - 1}
            if seen["result"]:
                events.slice(tracks[2], "result", "result", now, now + 1, **of_job, word=seen["word"])
            if job is None or seen["fetch"]:
                waits.at(now, None)
            elif begins or seen["runs"]:
                waits.at(now, ("waiting", "waiting", of_job))
            else:
                waits.at(now, ("draining", "draining", of_job))
            if seen["fetch"]:
                step = self._step(seen["step"])
                events.slice(tracks[1], f"slot {step['slot']}", "step", now, now + 1, **of_job, **step)
                if seen["reads_b"]:
                    events.instant(tracks[1], "read B", "read", now, **of_job, word=step["b"])
        jobs.at(now + 1, None)
        waits.at(now + 1, None)
