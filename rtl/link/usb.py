"""A serial port on USB (CDC ACM) at full speed. Needs the package luna-usb.

LUNA (https://luna.readthedocs.io) has the parts: transceiver, packets, control transfers, the buffers of an endpoint.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import DomainRenamer, Elaboratable, EnableInserter, Fragment, Module, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import AsyncFIFO
from amaranth.lib.wiring import In, Out
from luna.gateware.memory import TransactionalizedFIFO
from luna.gateware.usb.devices.acm import ACMRequestHandlers, USBSerialDevice
from luna.gateware.usb.usb2.device import USBDevice
from luna.gateware.usb.usb2.endpoint import EndpointInterface
from luna.gateware.usb.usb2.request import StallOnlyRequestHandler
from luna.gateware.usb.usb2.transfer import USBInTransferManager
from usb_protocol.types import USBRequestType

from zeroskip.rtl.link.usb_lines import UsbLines

CLOCK = 48_000_000
"""The frequency of the domain `usb` in Hz: BIT_CYCLES for each bit of the line."""

BIT_CYCLES = 4

VENDOR, PRODUCT = 0x1209, 0x0001
"""Numbers that pid.codes keeps for tests: computers know a serial port by its class."""

NOTICES, DATA = 3, 4
"""Endpoints: notices of the port's state, of which there are none, and data in both directions."""

PACKET = 64
"""Bytes of the longest packet."""

BUFFER = 2 * PACKET
"""Bytes of the host that wait for the core."""

PAUSE = 16
"""Bits of the line without a byte for the host after which the packet is sent, though it is not full."""

FIFO = 16
"""Bytes that wait between the two clocks, in each direction."""


class UsbSerial(wiring.Component):
    """Bytes from a computer and to it, as a serial port of the class CDC ACM: /dev/ttyACM0.

    Runs in two domains: `usb` with CLOCK, and `sync`, the core's, with any frequency. A packet for the host ends when
    it is full or after PAUSE. Damaged packets have no effect, and neither have those that were there before: the
    host sends again what was not acknowledged, and so does this port. A bus reset, or another configuration, empties
    the packets that wait.

    Throughput: packet upon packet, if the core takes and gives bytes fast enough; both directions share the line. A
    frame of 1 ms carries at most 19 packets of 64 bytes (USB 2.0, table 5-9).

    Ports
    -----
    d_p : 1, in
        The line D+.
    d_n : 1, in
        The line D-.
    drive : 1, out
        Drive both lines with `d_p_out` and `d_n_out`.
    d_p_out : 1, out
        What D+ is driven with.
    d_n_out : 1, out
        What D- is driven with.
    pull_up : 1, out
        Pull D+ up by 1.5 kOhm: tells the host that a device is there.
    o : stream of 8, out
        Bytes from the host.
    i : stream of 8, in
        Bytes to the host.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "d_p": In(1),
                "d_n": In(1),
                "drive": Out(1),
                "d_p_out": Out(1),
                "d_n_out": Out(1),
                "pull_up": Out(1),
                "o": Out(stream.Signature(8)),
                "i": In(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # LUNA works in two domains, `usb` with a cycle a bit and `usb_io`. Here both have one clock, and the first one
        # an enable: then nothing crosses from one clock to the other.
        bit = Signal(range(BIT_CYCLES))
        m.d.usb += bit.eq(bit + 1)
        enabled = EnableInserter({"usb": bit == 0})(_Device(self, bit == 0))
        # LUNA would ask the platform which device it is, and not all of ours know that.
        m.submodules.device = Fragment.get(DomainRenamer({"usb_io": "usb"})(enabled), None)
        return m


class _Device(USBSerialDevice):
    """What is behind the port's pins, in the domains of LUNA."""

    def __init__(self, port: UsbSerial, bit: Value) -> None:
        self.lines = UsbLines(bit=bit)
        super().__init__(
            bus=self.lines,
            idVendor=VENDOR,
            idProduct=PRODUCT,
            manufacturer_string="zeroskip",
            product_string="zeroskip board",
            serial_number="0",
            max_packet_size=PACKET,
        )
        self.port = port

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        port = self.port
        m.submodules.lines = lines = self.lines
        m.d.comb += [
            lines.plus.eq(port.d_p),
            lines.minus.eq(port.d_n),
            port.drive.eq(lines.drive),
            port.d_p_out.eq(lines.plus_out),
            port.d_n_out.eq(lines.minus_out),
            port.pull_up.eq(lines.term_select),
        ]

        usb = USBDevice(bus=lines)
        control = usb.add_standard_control_endpoint(self.create_descriptors())
        control.add_request_handler(ACMRequestHandlers())
        control.add_request_handler(StallOnlyRequestHandler(_unknown))
        notices, requests, answers = _NoticeEndpoint(), _RequestEndpoint(), _AnswerEndpoint()
        for endpoint in (notices, requests, answers):
            usb.add_endpoint(endpoint)
        m.submodules.usb = usb
        fresh = usb.reset_detected | control.interface.config_changed
        active = Signal()
        m.d.usb += [active.eq(lines.rx_active), requests.heard.eq(active & ~lines.rx_active)]
        m.d.comb += [usb.connect.eq(1), requests.fresh.eq(fresh), answers.fresh.eq(fresh)]

        m.submodules.from_host = from_host = AsyncFIFO(width=8, depth=FIFO, w_domain="usb", r_domain="sync")
        m.d.comb += [
            from_host.w_data.eq(requests.payload),
            from_host.w_en.eq(requests.valid),
            requests.ready.eq(from_host.w_rdy),
            port.o.payload.eq(from_host.r_data),
            port.o.valid.eq(from_host.r_rdy),
            from_host.r_en.eq(port.o.ready),
        ]
        m.submodules.to_host = to_host = AsyncFIFO(width=8, depth=FIFO, w_domain="sync", r_domain="usb")
        m.d.comb += [
            to_host.w_data.eq(port.i.payload),
            to_host.w_en.eq(port.i.valid),
            port.i.ready.eq(to_host.w_rdy),
            answers.payload.eq(to_host.r_data),
            answers.valid.eq(to_host.r_rdy),
            to_host.r_en.eq(answers.ready),
        ]
        return m


class _NoticeEndpoint(Elaboratable):
    """Has nothing to tell, whenever the host asks."""

    def __init__(self) -> None:
        self.interface = EndpointInterface()

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        token = self.interface.tokenizer
        asked = token.is_in & (token.endpoint == NOTICES) & token.ready_for_response
        m.d.comb += self.interface.handshakes_out.nak.eq(asked)
        return m


class _RequestEndpoint(Elaboratable):
    """Bytes from the host, as a stream (`payload`, `valid`, `ready`). `fresh` begins again with DATA0 and an empty
    buffer; `heard` is high for a cycle after the end of each packet on the line.

    A packet counts only if the one before it was a token for this endpoint: behind a damaged token, it may be for
    another device. Whether there is room for it is decided with the token.
    """

    def __init__(self) -> None:
        self.interface = EndpointInterface()
        self.fresh = Signal()
        self.heard = Signal()
        self.payload = Signal(8)
        self.valid = Signal()
        self.ready = Signal()

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        interface, token, rx = self.interface, self.interface.tokenizer, self.interface.rx
        m.submodules.buffer = buffer = TransactionalizedFIFO(width=8, depth=BUFFER, domain="usb")
        expected = Signal()
        called = Signal()
        room = Signal()
        taken = Signal(range(PACKET + 2))
        again = interface.rx_pid_toggle[0] != expected
        whole = called & room & ~again & (taken <= PACKET)
        m.d.comb += [
            buffer.write_data.eq(rx.payload),
            buffer.write_en.eq(called & room & ~again & rx.valid & rx.next & (taken < PACKET)),
            buffer.write_commit.eq(interface.rx_complete & whole),
            buffer.write_discard.eq((interface.rx_complete & ~whole) | interface.rx_invalid),
            self.payload.eq(buffer.read_data),
            self.valid.eq(~buffer.empty),
            buffer.read_en.eq(self.ready),
            buffer.read_commit.eq(1),
        ]
        with m.If(rx.valid & rx.next & (taken <= PACKET)):
            m.d.usb += taken.eq(taken + 1)

        # The host sends a packet again when it did not hear that it was acknowledged.
        answer = called & interface.rx_ready_for_response
        m.d.comb += [
            interface.handshakes_out.ack.eq(answer & (again | whole)),
            interface.handshakes_out.nak.eq(answer & ~again & ~room),
        ]
        with m.If(answer & whole):
            m.d.usb += expected.eq(~expected)
        halt = interface.clear_endpoint_halt_in
        with m.If(halt.enable & ~halt.direction & (halt.number == DATA)):
            m.d.usb += expected.eq(0)

        with m.If(token.new_token):
            m.d.usb += [
                called.eq(token.is_out & (token.endpoint == DATA)),
                room.eq(buffer.space_available >= PACKET),
                taken.eq(0),
            ]
        with m.Elif(interface.rx_ready_for_response | (self.heard & ~interface.rx_complete)):
            m.d.usb += called.eq(0)
        return ResetInserter({"usb": self.fresh})(m)


class _AnswerEndpoint(Elaboratable):
    """Bytes to the host, from a stream (`payload`, `valid`, `ready`) without ends. `fresh` as in _RequestEndpoint."""

    def __init__(self) -> None:
        self.interface = EndpointInterface()
        self.fresh = Signal()
        self.payload = Signal(8)
        self.valid = Signal()
        self.ready = Signal()

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        interface, token = self.interface, self.interface.tokenizer
        m.submodules.packets = packets = USBInTransferManager(PACKET)
        mine = token.endpoint == DATA
        halt = interface.clear_endpoint_halt_in
        m.d.comb += [
            packets.active.eq(mine),
            # A message that ends with a full packet is followed by an empty one: without it, the host waits for more.
            packets.generate_zlps.eq(1),
            packets.reset_sequence.eq(halt.enable & halt.direction & (halt.number == DATA)),
            interface.tx.stream_eq(packets.packet_stream),
            interface.tx_pid_toggle.eq(packets.data_pid),
            *token.connect(packets.tokenizer),
            *packets.handshakes_out.connect(interface.handshakes_out),
            # An acknowledgement after the host has spoken to another device is not for this packet.
            packets.handshakes_in.ack.eq(interface.handshakes_in.ack & token.is_in & mine),
        ]

        # The last byte is held until the next one is there, or none comes: then it ends its packet.
        held = Signal(8)
        full = Signal()
        waited = Signal(range(PAUSE + 1))
        out = packets.transfer_stream
        m.d.comb += [
            out.payload.eq(held),
            out.last.eq(~self.valid),
            out.valid.eq(full & (self.valid | (waited == PAUSE))),
            self.ready.eq(~full | (out.valid & out.ready)),
        ]
        with m.If(waited != PAUSE):
            m.d.usb += waited.eq(waited + 1)
        with m.If(out.valid & out.ready):
            m.d.usb += full.eq(0)
        with m.If(self.valid & self.ready):
            m.d.usb += [held.eq(self.payload), full.eq(1), waited.eq(0)]
        return ResetInserter({"usb": self.fresh})(m)


def _unknown(setup: Any) -> Any:
    """Requests that no handler takes."""
    return (setup.type == USBRequestType.VENDOR) | (setup.type == USBRequestType.RESERVED)
