"""AXI4, AXI4-Lite and AXI4-Stream (Arm IHI 0022 and IHI 0051)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.bus.ports import Refusal, access_port
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES


class Response(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]
    """BRESP and RRESP."""

    OKAY = 0
    SLVERR = 2
    """Something is there that refuses the access."""
    DECERR = 3
    """Nothing is there."""


def axi_lite(address_bits: int) -> wiring.Signature:
    """AXI4-Lite with data of 32 bits, by the standard's names; directions are those of the manager.

    Members
    -------
    awaddr : address_bits, out
        Byte address of a write.
    awprot : 3, out
        Its protection.
    awvalid : 1, out
        It is there.
    awready : 1, in
        It is taken.
    wdata : 32, out
        What to write.
    wstrb : 4, out
        Which bytes of it.
    wvalid : 1, out
        It is there.
    wready : 1, in
        It is taken.
    bresp : Response, in
        Whether the write was obeyed.
    bvalid : 1, in
        This is known.
    bready : 1, out
        It is taken.
    araddr : address_bits, out
        Byte address of a read.
    arprot : 3, out
        Its protection.
    arvalid : 1, out
        It is there.
    arready : 1, in
        It is taken.
    rdata : 32, in
        What was read.
    rresp : Response, in
        Whether the read was obeyed.
    rvalid : 1, in
        Both are there.
    rready : 1, out
        They are taken.
    """
    return wiring.Signature(
        {
            "awaddr": Out(address_bits),
            "awprot": Out(3),
            "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(REGISTER_BITS),
            "wstrb": Out(REGISTER_BYTES),
            "wvalid": Out(1),
            "wready": In(1),
            "bresp": In(Response),
            "bvalid": In(1),
            "bready": Out(1),
            "araddr": Out(address_bits),
            "arprot": Out(3),
            "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(REGISTER_BITS),
            "rresp": In(Response),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def axi_stream(bits: int) -> wiring.Signature:
    """AXI4-Stream by the standard's names; directions are those of the transmitter.

    Members
    -------
    tdata : bits, out
        A transfer.
    tkeep : bits / 8, out
        Which of its bytes count.
    tlast : 1, out
        It is the last one of its packet.
    tvalid : 1, out
        It is there.
    tready : 1, in
        It is taken.
    """
    return wiring.Signature(
        {"tdata": Out(bits), "tkeep": Out(bits // 8), "tlast": Out(1), "tvalid": Out(1), "tready": In(1)}
    )


MEMORY_ADDRESS_BITS = 32
"""Bits of an address of the memory."""


def axi_memory() -> wiring.Signature:
    """AXI4 with data of 32 bits and addresses of 32 bits, by the standard's names; directions are those of the manager.

    Members
    -------
    awid : 1, out
        Always zero.
    awaddr : 32, out
        Byte address of the first word of a write.
    awlen : 8, out
        Its words, less one.
    awsize : 3, out
        Always four bytes.
    awburst : 2, out
        Always increasing.
    awcache : 4, out
        Always normal memory, bufferable.
    awprot : 3, out
        Always zero.
    awvalid : 1, out
        It is there.
    awready : 1, in
        It is taken.
    wdata : 32, out
        A word to write.
    wstrb : 4, out
        Which bytes of it.
    wlast : 1, out
        It is the last one.
    wvalid : 1, out
        It is there.
    wready : 1, in
        It is taken.
    bid : 1, in
        Ignored.
    bresp : 2, in
        Whether the write was obeyed.
    bvalid : 1, in
        This is known.
    bready : 1, out
        It is taken.
    arid : 1, out
        Always zero.
    araddr : 32, out
        Byte address of the first word of a read.
    arlen : 8, out
        Its words, less one.
    arsize : 3, out
        Always four bytes.
    arburst : 2, out
        Always increasing.
    arcache : 4, out
        Always normal memory, bufferable.
    arprot : 3, out
        Always zero.
    arvalid : 1, out
        It is there.
    arready : 1, in
        It is taken.
    rid : 1, in
        Ignored.
    rdata : 32, in
        A word that was read.
    rresp : 2, in
        Whether it was.
    rlast : 1, in
        It is the last one.
    rvalid : 1, in
        It is there.
    rready : 1, out
        It is taken.
    """

    def address(channel: str) -> dict[str, wiring.Member]:
        widths = {"id": 1, "addr": MEMORY_ADDRESS_BITS, "len": 8, "size": 3, "burst": 2, "cache": 4, "prot": 3}
        members = {f"{channel}{name}": Out(width) for name, width in widths.items()}
        return {**members, f"{channel}valid": Out(1), f"{channel}ready": In(1)}

    return wiring.Signature(
        {
            **address("aw"),
            "wdata": Out(REGISTER_BITS),
            "wstrb": Out(REGISTER_BYTES),
            "wlast": Out(1),
            "wvalid": Out(1),
            "wready": In(1),
            "bid": In(1),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
            **address("ar"),
            "rid": In(1),
            "rdata": In(REGISTER_BITS),
            "rresp": In(2),
            "rlast": In(1),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


class AxiLite(wiring.Component):
    """Accesses of an AXI4-Lite manager, one at a time; reads and writes take turns where both wait.

    Latency: a cycle before and a cycle behind the access. Throughput: an access to a register in four cycles.

    Parameters
    ----------
    address_bits
        Bits of an address.

    Ports
    -----
    bus : axi_lite, in
        The manager. `awprot` and `arprot` are ignored.
    access : access_port, out
        Its accesses.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__({"bus": In(axi_lite(address_bits)), "access": Out(access_port(address_bits))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bus, access = self.bus, self.access
        wrote = Signal()
        writes, reads, response = Signal(), Signal(), Signal(Response)
        rests = ~access.valid & ~bus.bvalid & ~bus.rvalid
        m.d.comb += [
            # Address and data of a write are taken together.
            writes.eq(rests & bus.awvalid & bus.wvalid & ~(wrote & bus.arvalid)),
            reads.eq(rests & bus.arvalid & ~writes),
            bus.awready.eq(writes),
            bus.wready.eq(writes),
            bus.arready.eq(reads),
            response.eq(Response.OKAY),
        ]
        with m.If(access.refusal == Refusal.UNMAPPED):
            m.d.comb += response.eq(Response.DECERR)
        with m.Elif(access.refusal != Refusal.NONE):
            m.d.comb += response.eq(Response.SLVERR)

        with m.If(writes | reads):
            m.d.sync += [
                access.valid.eq(1),
                access.write.eq(writes),
                access.address.eq(Mux(writes, bus.awaddr, bus.araddr)),
                access.data.eq(bus.wdata),
                access.strobe.eq(bus.wstrb),
                wrote.eq(writes),
            ]
        with m.If(access.valid & access.done):
            m.d.sync += [
                access.valid.eq(0),
                bus.bvalid.eq(access.write),
                bus.rvalid.eq(~access.write),
                bus.bresp.eq(response),
                bus.rresp.eq(response),
                bus.rdata.eq(access.answer),
            ]
        with m.If(bus.bready):
            with m.If(bus.bvalid):
                m.d.sync += bus.bvalid.eq(0)
        with m.If(bus.rready):
            with m.If(bus.rvalid):
                m.d.sync += bus.rvalid.eq(0)
        return m
