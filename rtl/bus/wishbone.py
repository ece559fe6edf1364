"""Wishbone B4, standard mode (OpenCores)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.bus.ports import Refusal, access_port
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES


def wishbone(address_bits: int) -> wiring.Signature:
    """Wishbone with data of 32 bits and addresses in bytes; directions are those of the master.

    Members
    -------
    cyc : 1, out
        The bus is in use.
    stb : 1, out
        An access is wanted.
    we : 1, out
        Whether it writes.
    adr : address_bits, out
        Byte address.
    sel : 4, out
        Which bytes of the data.
    dat_w : 32, out
        What to write.
    dat_r : 32, in
        What was read.
    ack : 1, in
        The access has ended.
    err : 1, in
        It was refused.
    """
    return wiring.Signature(
        {
            "cyc": Out(1),
            "stb": Out(1),
            "we": Out(1),
            "adr": Out(address_bits),
            "sel": Out(REGISTER_BYTES),
            "dat_w": Out(REGISTER_BITS),
            "dat_r": In(REGISTER_BITS),
            "ack": In(1),
            "err": In(1),
        }
    )


class Wishbone(wiring.Component):
    """Accesses of a Wishbone master. One that the master takes back is done all the same, and not answered.

    Latency: a cycle before and a cycle behind the access. Throughput: an access to a register in four cycles.

    Parameters
    ----------
    address_bits
        Bits of an address.

    Ports
    -----
    bus : wishbone, in
        The master.
    access : access_port, out
        Its accesses.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__({"bus": In(wishbone(address_bits)), "access": Out(access_port(address_bits))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bus, access = self.bus, self.access
        wanted = Signal()
        # The access is still the one that was taken.
        waits = Signal()
        m.d.comb += wanted.eq(bus.cyc & bus.stb)
        m.d.sync += [bus.ack.eq(0), bus.err.eq(0), waits.eq(waits & wanted)]
        with m.If(~access.valid & wanted & ~bus.ack & ~bus.err):
            m.d.sync += [
                access.valid.eq(1),
                access.write.eq(bus.we),
                access.address.eq(bus.adr),
                access.data.eq(bus.dat_w),
                access.strobe.eq(bus.sel),
                waits.eq(1),
            ]
        with m.If(access.valid & access.done):
            m.d.sync += [
                access.valid.eq(0),
                bus.dat_r.eq(access.answer),
                bus.ack.eq(waits & wanted & (access.refusal == Refusal.NONE)),
                bus.err.eq(waits & wanted & (access.refusal != Refusal.NONE)),
            ]
        return m
