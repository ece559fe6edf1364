"""Products of any mode on the tile, recorded, and their page."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.operands import random_bits

from zeroskip.cosim.mma.play import verify_gemms
from zeroskip.cosim.mma.viewer import TileViewer
from zeroskip.cosim.mma.viewer_plan import plan_products
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.viewer.page import write_viewer
from zeroskip.model.mma import format as nm
from zeroskip.model.mma.gemm import Operand, Product, dense_operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern


@dataclass(frozen=True, kw_only=True)
class TilePage:
    """Products with their waveform and page in a folder, and the cycles that the run counted of each job."""

    geometry: TileGeometry
    products: list[Product]
    folder: Path
    job_cycles: list[int]


def legal_codes(pattern: Pattern) -> NDArray[np.unsignedinteger]:
    """All codes that the strict check accepts."""
    if pattern.halves:
        codes = [0b0100, 0b1110]
    else:
        places = itertools.combinations(range(pattern.positions), pattern.lanes)
        codes = [sum(place << lane * pattern.index_bits for lane, place in enumerate(chosen)) for chosen in places]
    return np.array(codes, nm.code_type(pattern))


def random_product(
    rng: np.random.Generator, geometry: TileGeometry, rows: int, columns: int, depth: int, *, dense: bool
) -> Product:
    """Any raw bits, and any legal codes."""
    pattern = geometry.pattern
    groups = -(-depth // pattern.group)
    if dense or pattern.dense:
        operand = dense_operand(random_bits(rng, geometry.dtype, (rows, depth)), pattern)
    else:
        values = random_bits(rng, geometry.dtype, (rows, groups * pattern.keep))
        codes = rng.choice(legal_codes(pattern), (rows, groups))
        operand = Operand(values=values, codes=codes, columns=depth, pattern=pattern)
    b = random_bits(rng, geometry.dtype, (depth, columns))
    return operand, b, random_bits(rng, geometry.out, (rows, columns))


def make_page(
    folder: Path, geometry: TileGeometry, products: list[Product], simulator: Simulator = Simulator.VERILATOR
) -> TilePage:
    recording = Recording(file=folder / "run.vcd", format="vcd")
    checked, _ = verify_gemms(products, geometry, recording=recording, simulator=simulator)
    assert all(one.equal for one in checked)
    viewer = TileViewer(geometry, plan_products(products, geometry))
    write_viewer(folder / "run.html", folder / "run.vcd", viewer, title="product", of="products")
    cycles = [cycles for one in checked for cycles in one.run.job_cycles]
    return TilePage(geometry=geometry, products=products, folder=folder, job_cycles=cycles)
