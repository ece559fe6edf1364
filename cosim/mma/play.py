"""Runs matrix products and single steps on the RTL of the N:M tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bits import Words, from_hexadecimal, to_bits, to_numbers
from zeroskip.cosim.mma.design import gemm_design, tile_design
from zeroskip.cosim.mma.program import job_program, results, transfers
from zeroskip.cosim.player import Player
from zeroskip.cosim.session import Recording, Session, Setup, most_cycles
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.model.mma.cycles import job_cycles
from zeroskip.model.mma.gemm import Images, Job, Operand, Product, check_product, jobs
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import gemm
from zeroskip.model.mma.numerics import raw_type
from zeroskip.rtl.mma.layouts import step_layout


@dataclass(frozen=True, kw_only=True, eq=False)
class GemmRun:
    """A product on the RTL: raw bits of D (M x N), the cycles of each job from `start` to `done`, the number of
    transfers that load the matrices and read D through the ports (one a cycle, none during a job), and whether there
    was an illegal metadata code."""

    d: NDArray[Any]
    job_cycles: tuple[int, ...]
    transfers: int
    illegal: bool

    @property
    def cycles(self) -> int:
        """Cycles of all jobs, loading not counted."""
        return sum(self.job_cycles)


def run_gemm(
    operand: Operand,
    b: NDArray[Any],
    c: NDArray[Any],
    geometry: TileGeometry,
    *,
    simulator: Simulator = Simulator.VERILATOR,
    load: LoadName = "direct",
    seed: int = 0,
) -> GemmRun:
    """D = A B + C on the RTL, for raw bits `b` (K x N) and `c` (M x N). The memories start with random contents, by
    `seed`; `load` says how the matrices get into them, and D out of them.

    Raises ValueError for matrices that do not fit (zeroskip.model.mma.gemm.check_product), and SimulatorError where the
    simulator is missing or fails.
    """
    check_product(operand, b, c, geometry)
    with Session(gemm_design(geometry), setup=Setup(load=load), simulator=simulator, seed=seed) as session:
        return play_gemm(session, operand, b, c, geometry)


def play_gemm(
    session: Session,
    operand: Operand,
    b: NDArray[Any],
    c: NDArray[Any],
    geometry: TileGeometry,
    on_jobs: Callable[[int, int], None] = lambda done, total: None,
) -> GemmRun:
    """The same in a session of `gemm_design(geometry)`. `on_jobs` is called with the jobs done, and all of them."""
    return play_gemms(session, [(operand, b, c)], geometry, on_jobs)[0]


def play_gemms(
    session: Session,
    products: Sequence[Product],
    geometry: TileGeometry,
    on_jobs: Callable[[int, int], None] = lambda done, total: None,
) -> list[GemmRun]:
    """Independent products of one size, one after the other."""
    images = [Images(*product, geometry) for product in products]
    plan = plan_of(*products[0][:2], geometry)
    jobs = len(products) * len(plan)
    expected = expected_cycles(plan, geometry)
    limited = list(zip(plan, most_cycles(np.array(expected)).tolist(), strict=True))
    load = session.setup.load
    program = (piece for each in images for job, limit in limited for piece in job_program(each, job, limit, load))
    record = session.play(program, lambda done: on_jobs(done, jobs)).splitlines()
    if record and record[-1][:1] == b"T":
        job = sum(line[:1] == b"C" for line in record)
        raise session.failed(
            range(job, job + 1),
            f"job {job} of {jobs} was not done after {int(record[-1].split()[1]):,} cycles; the cycle model expected "
            f"{expected[job % len(plan)]:,}",
        )
    marks = [line.split() for line in record if line[:1] == b"C"]
    words = [line[2:] for line in record if line[:1] == b"D"]
    words_each = len(words) // len(products)

    def run(number: int) -> GemmRun:
        operand, b, _ = products[number]
        own = marks[number * len(plan) : (number + 1) * len(plan)]
        read = words[number * words_each : (number + 1) * words_each]
        return GemmRun(
            d=results(images[number], plan, read)[: operand.rows, : b.shape[1]],
            job_cycles=tuple(int(mark[1]) for mark in own),
            transfers=sum(transfers(geometry, job) for job in plan),
            illegal=any(mark[2] == b"1" for mark in own),
        )

    return [run(number) for number in range(len(products))]


def expected_cycles(plan: list[Job], geometry: TileGeometry) -> list[int]:
    """Cycles of each job by the cycle model."""
    return [job_cycles(geometry, sums=job.sums, steps=len(job.steps)) for job in plan]


def plan_of(operand: Operand, b: NDArray[Any], geometry: TileGeometry) -> list[Job]:
    """The jobs of a product, in their order."""
    return list(jobs(geometry, operand.rows, b.shape[1], operand.columns, dense=operand.dense))


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedGemm:
    """A product on the RTL, compared with the models: how many values of D differ from the golden model's, whether each
    job took the cycles of the cycle model, and the jobs with the first difference."""

    run: GemmRun
    golden: NDArray[Any]
    mismatches: int
    cycle_model_equal: bool
    failing: range | None

    @property
    def equal(self) -> bool:
        return self.mismatches == 0 and self.cycle_model_equal


def verify_gemms(
    products: Sequence[Product],
    geometry: TileGeometry,
    *,
    simulator: Simulator = Simulator.VERILATOR,
    load: LoadName = "direct",
    seed: int = 0,
    waveform: Path | None = None,
    recording: Recording | None = None,
    announce: Callable[[str], None] = lambda _: None,
    on_jobs: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[CheckedGemm], Path | None]:
    """Runs products of one size on the RTL and both models. If they differ, the jobs with the first difference are
    recorded as `waveform`, by default in the cache folder; its path is returned. With `recording`, the whole run is
    recorded there instead. `announce` is called with a description before any work that takes longer than a second,
    `on_jobs` with the jobs done, and all of them.

    Raises as `run_gemm` does.
    """
    for product in products:
        check_product(*product, geometry)
    with Session(
        gemm_design(geometry),
        setup=Setup(load=load),
        simulator=simulator,
        seed=seed,
        waveform=waveform,
        recording=recording,
        announce=announce,
    ) as session:
        runs = play_gemms(session, products, geometry, on_jobs)
        checked = [check_gemm(run, *product, geometry) for run, product in zip(runs, products, strict=True)]
        for number, (one, run) in enumerate(zip(checked, runs, strict=True)):
            if one.failing is not None:
                first = number * len(run.job_cycles)
                session.fail(range(first + one.failing.start, first + one.failing.stop))
                break
    return checked, session.waveform


def check_gemm(run: GemmRun, operand: Operand, b: NDArray[Any], c: NDArray[Any], geometry: TileGeometry) -> CheckedGemm:
    """Compares a product that was run on the RTL with both models."""
    golden = gemm(operand, b, c, geometry)
    plan = plan_of(operand, b, geometry)
    different = run.d != golden
    slow = np.flatnonzero(np.array(run.job_cycles) != expected_cycles(plan, geometry))
    failing = [*(range(index, index + 1) for index in slow[:1].tolist()), *_failing_jobs(plan, different, geometry)]
    return CheckedGemm(
        run=run,
        golden=golden,
        mismatches=int(np.count_nonzero(different)),
        cycle_model_equal=len(slow) == 0,
        failing=min(failing, key=lambda jobs: jobs.start, default=None),
    )


def _failing_jobs(plan: list[Job], different: NDArray[np.bool_], geometry: TileGeometry) -> Iterator[range]:
    """The jobs that add up a part of D, for the first part that holds a difference."""
    first = 0
    for index, job in enumerate(plan):
        if job.new_c:
            first = index
        if job.last:
            rows = slice(job.rows.start * geometry.m, job.rows.stop * geometry.m)
            columns = slice(job.columns.start * geometry.n, job.columns.stop * geometry.n)
            if different[rows, columns].any():
                yield range(first, index + 1)
                return


def run_steps(
    geometry: TileGeometry,
    steps: dict[str, NDArray[Any]],
    *,
    pause: float = 0.0,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Runs steps on the tile by itself; each field of `step_layout` is an array whose first axis is the step. Returns
    the raw bits of the results (results x m x n), and whether `illegal` was set when each left. `pause` is the fraction
    of cycles in which each side of the tile pauses."""
    layout = step_layout(geometry)
    count, sums = len(steps["last"]), int(np.count_nonzero(steps["last"]))
    words = Words(layout, count)
    widths = {"a": geometry.operand.operand_bits, "b": geometry.operand.operand_bits, "c": geometry.result.bits}
    for field, values in steps.items():
        if values.ndim == 1:
            words.number(field, values)
        else:
            words.put(field, to_bits(values.reshape(count, -1), widths.get(field, geometry.pattern.code_bits)))
    plusargs = {"results": str(sums), "pause": str(round(256 * pause))}
    with Player(tile_design(geometry).build(simulator), seed=seed, plusargs=plusargs) as player:
        lines = [line.split() for line in player.play([words.to_bytes()]).splitlines()]
    width = geometry.result.bits
    bits = from_hexadecimal([line[0] for line in lines], geometry.m * geometry.n * width)
    numbers = to_numbers(bits, width, raw_type(geometry.result)).reshape(-1, geometry.m, geometry.n)
    return numbers, np.array([line[1] == b"1" for line in lines])
