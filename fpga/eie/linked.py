"""The EIE array behind two streams of bytes."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux

from zeroskip.fpga.eie.boot import BootMemory, boot_memory
from zeroskip.fpga.eie.bursts import TARGET_BITS
from zeroskip.fpga.identity import BUFFER
from zeroskip.fpga.linked import LinkedCore, loads, reads
from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.array import Array
from zeroskip.rtl.eie.layouts import LoadTarget, load_layout
from zeroskip.rtl.link.ports import CoreSizes


def array_sizes(geometry: EieGeometry) -> CoreSizes:
    """The array's port, as the link sees it."""
    load = load_layout(geometry)
    return CoreSizes(
        target=TARGET_BITS + bits_for(geometry.pes),
        address=load["address"].width,
        data=load["data"].width,
        start=bits_for(geometry.layers),
        read=bits_for(geometry.activations),
        result=VALUE_BITS,
    )


class LinkedArray(LinkedCore):
    """An array with a link (zeroskip.rtl.link): what every board's top wraps.

    Parameters
    ----------
    geometry : EieGeometry
    boot : BootMemory or None
        What the board is, and the tables that it loads after a reset (zeroskip.fpga.eie.boot); by default that of a
        board without a network.
    buffer : int
        Bytes of the link's buffer for requests, a power of two. ValueError for others.
    clock : int or None
        The frequency of the clock in Hz, told to the host; only used where `boot` is None.

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
        self,
        geometry: EieGeometry,
        *,
        boot: BootMemory | None = None,
        buffer: int = BUFFER,
        clock: int | None = None,
    ) -> None:
        self.geometry = geometry
        boot = boot or boot_memory(geometry, buffer=buffer, clock=clock)
        super().__init__(array_sizes(geometry), text=boot.text, records=boot.records, buffer=buffer)

    def wire(self, m: Module, core: Any) -> None:
        m.submodules.array = array = Array(self.geometry)
        load, word = array.load.payload, core.load.payload
        lane_bits = self.geometry.activation_lanes.bit_length() - 1
        m.d.comb += [
            *loads(core, array),
            *reads(core, array),
            load.target.eq(word.target[:TARGET_BITS]),
            load.pe.eq(word.target[TARGET_BITS:]),
            # The link counts words, the array activations.
            load.address.eq(
                Mux(word.target[:TARGET_BITS] == LoadTarget.ACTIVATIONS, word.address << lane_bits, word.address)
            ),
            load.data.eq(word.data),
            core.lasting.eq(word.target[:TARGET_BITS] != LoadTarget.ACTIVATIONS),
            array.start.eq(core.start.valid),
            array.first.eq(core.start.payload),
            core.start.ready.eq(array.idle),
            core.idle.eq(array.idle),
            core.done.eq(array.done),
            array.read.payload.eq(core.read.payload),
        ]
