"""Runs products on the tile once more to record them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zeroskip.cosim.build import WaveFormat
from zeroskip.cosim.mma.play import verify_gemms
from zeroskip.cosim.mma.trace import MmaDecoder
from zeroskip.cosim.mma.viewer import TileViewer
from zeroskip.cosim.mma.viewer_plan import plan_products
from zeroskip.cosim.mma.waves import groups
from zeroskip.cosim.record import Subject, record, require_viewable
from zeroskip.cosim.records import Records
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.cosim.verify import RECORDING
from zeroskip.model.mma.gemm import Product
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.progress import Progress, Step, silent


def viewer_of(products: Sequence[Product], geometry: TileGeometry) -> TileViewer:
    """The viewer of the products. Raises ValueError if they take more cycles than it shows."""
    viewer = TileViewer(geometry, plan_products(products, geometry))
    require_viewable(viewer, len(products), "product", smaller="smaller matrices, or fewer products")
    return viewer


def record_products(
    products: Sequence[Product],
    geometry: TileGeometry,
    records: Records,
    *,
    name: str,
    viewer: TileViewer | None,
    simulator: Simulator,
    load: LoadName,
    seed: int,
    progress: Progress = silent,
) -> tuple[Path, ...]:
    """Runs the products (zeroskip.cosim.mma.play.verify_gemms), and records them. `name` is that of their file, which
    trace and page say; `viewer` is that of `viewer_of`, where a page is wanted. Returns the sessions."""

    def run(file: Path, form: WaveFormat) -> None:
        verify_gemms(
            products,
            geometry,
            simulator=simulator,
            load=load,
            seed=seed,
            recording=Recording(file=file, format=form),
            announce=lambda task: progress(Step(task=task)),
            on_jobs=lambda done, total: progress(Step(task=RECORDING, done=done, total=total, unit="jobs")),
        )

    subject = Subject(
        groups=groups(geometry),
        decoder=MmaDecoder(geometry),
        viewer=viewer,
        name=name,
        of=f"{len(products)} {'product' if len(products) == 1 else 'products'}",
        about={"file": name, "products": len(products)},
    )
    return record(run, subject, records, progress)
