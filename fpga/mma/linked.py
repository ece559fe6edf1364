"""The N:M tile with its memories behind two streams of bytes."""

from __future__ import annotations

import hashlib
from typing import Any

from amaranth.hdl import Module

from zeroskip.fpga.identity import BUFFER, board_text
from zeroskip.fpga.linked import LinkedCore, jobs, loads, reads
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.link.boot import boot_records
from zeroskip.rtl.link.ports import CoreSizes
from zeroskip.rtl.mma.gemm import Gemm
from zeroskip.rtl.mma.layouts import job_layout, load_layout, read_layout, results_layout

TARGET_BITS = 2
"""The link's targets are the numbers of banks above the bits of MatrixTarget."""

ILLEGAL = 1
"""The flag of a run that met an illegal code."""


def gemm_sizes(geometry: TileGeometry) -> CoreSizes:
    """The port of a Gemm, as the link sees it."""
    load = load_layout(geometry)
    return CoreSizes(
        target=TARGET_BITS + load["bank"].width,
        address=load["address"].width,
        data=load["data"].width,
        start=job_layout(geometry).size,
        read=read_layout(geometry).size,
        result=results_layout(geometry).elem_shape.size,
    )


def tile_layout_digest(geometry: TileGeometry) -> str:
    """The first digits of the SHA-256 of how words and jobs are laid out."""
    layouts = f"{TARGET_BITS} {load_layout(geometry)!r} {job_layout(geometry)!r} {read_layout(geometry)!r}"
    return hashlib.sha256(layouts.encode()).hexdigest()[:16]


class LinkedTile(LinkedCore):
    """A Gemm with a link (zeroskip.rtl.link): matrices go in, products come out.

    Nothing is inside the bitstream: each product is loaded. The number of a result is its bank above its address.

    Parameters
    ----------
    geometry : TileGeometry
    buffer : int
        Bytes of the link's buffer for requests, a power of two. ValueError for others.
    clock : int or None
        The frequency of the clock in Hz, told to the host.

    Ports
    -----
    i : stream of 8, in
        Bytes from the host.
    broken : 1, in
        High for a cycle when the line that carries `i` reports an error.
    o : stream of 8, out
        Bytes to the host.
    """

    def __init__(
        self, geometry: TileGeometry, *, buffer: int = BUFFER, clock: int | None = None, carrier: str = "uart"
    ) -> None:
        self.geometry = geometry
        layout = tile_layout_digest(geometry)
        text = board_text("mma", geometry, layout, buffer=buffer, clock=clock, carrier=carrier)
        super().__init__(gemm_sizes(geometry), text=text, records=boot_records([]), buffer=buffer)

    def wire(self, m: Module, core: Any) -> None:
        m.submodules.gemm = gemm = Gemm(self.geometry)
        load, word = gemm.load.payload, core.load.payload
        address_bits = len(gemm.read.payload.address)
        m.d.comb += [
            *loads(core, gemm),
            *reads(core, gemm),
            *jobs(m, core, gemm),
            load.target.eq(word.target[:TARGET_BITS]),
            load.bank.eq(word.target[TARGET_BITS:]),
            load.address.eq(word.address),
            load.data.eq(word.data),
            core.flags.eq(gemm.illegal),
            gemm.read.payload.address.eq(core.read.payload[:address_bits]),
            gemm.read.payload.bank.eq(core.read.payload[address_bits:]),
        ]
