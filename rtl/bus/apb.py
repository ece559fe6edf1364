"""APB4 (Arm IHI 0024)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.bus.ports import Refusal, access_port
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES


def apb(address_bits: int) -> wiring.Signature:
    """APB4 with data of 32 bits, by the standard's names; directions are those of the requester.

    Members
    -------
    paddr : address_bits, out
        Byte address.
    pprot : 3, out
        Protection.
    psel : 1, out
        A transfer is wanted.
    penable : 1, out
        Its second cycle has come.
    pwrite : 1, out
        Whether it writes.
    pwdata : 32, out
        What to write.
    pstrb : 4, out
        Which bytes of it.
    pready : 1, in
        The transfer has ended.
    prdata : 32, in
        What was read.
    pslverr : 1, in
        It was refused.
    """
    return wiring.Signature(
        {
            "paddr": Out(address_bits),
            "pprot": Out(3),
            "psel": Out(1),
            "penable": Out(1),
            "pwrite": Out(1),
            "pwdata": Out(REGISTER_BITS),
            "pstrb": Out(REGISTER_BYTES),
            "pready": In(1),
            "prdata": In(REGISTER_BITS),
            "pslverr": In(1),
        }
    )


class Apb(wiring.Component):
    """Accesses of an APB requester, which keeps to the standard: a transfer that has begun stays until it is done.

    Latency: none. Throughput: an access to a register in three cycles, one of them the set-up.

    Parameters
    ----------
    address_bits
        Bits of an address.

    Ports
    -----
    bus : apb, in
        The requester. `pprot` is ignored.
    access : access_port, out
        Its accesses.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__({"bus": In(apb(address_bits)), "access": Out(access_port(address_bits))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bus, access = self.bus, self.access
        m.d.comb += [
            access.valid.eq(bus.psel & bus.penable),
            access.write.eq(bus.pwrite),
            access.address.eq(bus.paddr),
            access.data.eq(bus.pwdata),
            access.strobe.eq(bus.pstrb),
            bus.pready.eq(access.done),
            bus.prdata.eq(access.answer),
            bus.pslverr.eq(access.done & (access.refusal != Refusal.NONE)),
        ]
        return m
