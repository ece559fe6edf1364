"""A serial port on USB at its two lines, in the simulator: a host that follows the standard, and lines that damage.

Behind the port is an echo: what comes is sent back.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.cosim.player import Player
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.usb.host import FRAME_BITS, StalledError, UsbHost, descriptors
from zeroskip.cosim.usb.packets import PacketError, Pid, data, handshake, packet, states, token
from zeroskip.fpga.simulation.carriers import PlayedWire, UsbPins
from zeroskip.fpga.tops.usb import UsbTop

ADDRESS = 5

ENDPOINT = 4
"""That of the data, in both directions."""

SYNC_BITS, END_BITS = 8, 3


class Echo(wiring.Component):
    """With the ports of LinkedArray."""

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(8)), "broken": In(1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        return m


@pytest.fixture(scope="module")
def wire() -> Iterator[PlayedWire]:
    carrier = UsbPins(24e6)
    build = carrier.design(Echo, UsbTop, "echo").build(Simulator.VERILATOR)
    with Player(build, plusargs=carrier.plusargs(), bench=carrier.bench) as player:
        yield PlayedWire(player)


@pytest.fixture
def host(wire: PlayedWire) -> UsbHost:
    """A host that has just reset the bus, whatever the test before has left."""
    found = UsbHost(wire)
    found.enumerate(ADDRESS)
    return found


def echoed(host: UsbHost, sent: bytes) -> bytes:
    """Sends and reads in turn, until as much has come as was sent, and the port has no more."""
    come, left = b"", sent
    quiet = 0
    while left or quiet < 20:
        if left and host.write(left[:64]):
            left = left[64:]
        part = host.read()
        quiet = 0 if part else quiet + 1
        come += part or b""
    return come


def send(host: UsbHost, kind: Pid, content: bytes) -> bytes | None:
    """One packet to the port, whatever the toggle should be, and the answer."""
    return host.raw(token(Pid.OUT, ADDRESS, ENDPOINT), data(kind, content))


def test_says_that_it_is_a_serial_port(wire: PlayedWire) -> None:
    """USB 2.0, chapter 9; CDC 1.2, section 4.2: class 2, model 2, and an interface of class 10 with the data."""
    host = UsbHost(wire)
    found = host.enumerate(ADDRESS)
    assert found["device"][7] == 64
    assert found["product"][2:].decode("utf-16-le") == "zeroskip board"
    interfaces = [one[5:7] for one in descriptors(found["configuration"]) if one[1] == 4]
    assert interfaces == [bytes([2, 2]), bytes([10, 0])]
    assert (host.out_endpoint, host.in_endpoint) == (ENDPOINT, ENDPOINT)
    assert host.damaged == 0


def test_answers_before_a_host_gives_up(host: UsbHost) -> None:
    """At least 2 bits after the packet, so that nobody drives at once, and within 16 (sections 7.1.18 and 7.1.19)."""
    echoed(host, bytes(200))
    assert min(host.waits) >= 2
    assert max(host.waits) < 16


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 127, 128, 1000])
def test_bytes_come_back(host: UsbHost, length: int) -> None:
    sent = Random(length).randbytes(length)
    assert echoed(host, sent) == sent
    assert host.damaged == 0


def test_a_message_ends_with_a_short_packet(host: UsbHost) -> None:
    """A host waits for one: without it, the driver would keep the last bytes for itself (section 5.8.3)."""
    for length, ends in ((63, []), (64, [b""])):
        sent = bytes(range(length))
        assert host.write(sent)
        host.skip(300)
        assert [part for _ in range(5) if (part := host.read()) is not None] == [sent, *ends]


def test_a_port_that_is_full_loses_nothing(host: UsbHost) -> None:
    """Nobody reads what comes back: the port refuses, and takes more when there is room."""
    sent = Random(2).randbytes(2000)
    left, refused = sent, 0
    while refused < 5:
        if host.write(left[:64]):
            left = left[64:]
        else:
            refused += 1
    assert len(left) > 1000
    come = b""
    while len(come) < len(sent):
        come += host.read() or b""
        if left and host.write(left[:64]):
            left = left[64:]
    assert come == sent


def test_a_packet_that_is_sent_again_counts_once(host: UsbHost) -> None:
    """The host did not hear the acknowledgement (section 8.6.4)."""
    for _ in range(3):
        assert send(host, Pid.DATA0, b"first") == handshake(Pid.ACK)
    for _ in range(2):
        assert send(host, Pid.DATA1, b"second") == handshake(Pid.ACK)
    host._flip(ENDPOINT, to_host=False)
    host._flip(ENDPOINT, to_host=False)
    assert echoed(host, b"") == b"firstsecond"


def test_a_packet_that_is_not_acknowledged_comes_again(host: UsbHost) -> None:
    """Though the host has spoken to another device in between, and acknowledged what that one sent (section 8.6.3)."""
    host.write(b"again")
    host.skip(200)
    wanted = data(Pid.DATA0, b"again")
    assert host.raw(token(Pid.IN, ADDRESS, ENDPOINT)) == wanted
    assert host.raw(token(Pid.IN, ADDRESS, ENDPOINT)) == wanted
    host.raw(token(Pid.IN, ADDRESS + 1, ENDPOINT), data(Pid.DATA0, b"another's"), handshake(Pid.ACK))
    host.raw(token(Pid.OUT, ADDRESS + 1, ENDPOINT), data(Pid.DATA0, b"another's"), handshake(Pid.ACK))
    assert host.raw(token(Pid.IN, ADDRESS, ENDPOINT)) == wanted
    assert echoed(host, b"") == b"again"


def test_begins_again_after_a_bus_reset(host: UsbHost) -> None:
    """With DATA0 both ways, and without what waited (sections 5.8.5 and 9.1.1.5)."""
    for _ in range(3):
        echoed(host, b"odd")
    host.write(b"lost")
    host.enumerate(ADDRESS + 2)
    host.skip(300)
    host.read()
    host.configure(host.control_in(0x80, 6, 2 << 8, 0, 255))
    assert echoed(host, b"whole") == b"whole"


def test_requests_that_it_does_not_know(host: UsbHost) -> None:
    for kind in (0xC0, 0x80):
        with pytest.raises(StalledError):
            host.control_in(kind, 99, 0, 0, 8)
    assert echoed(host, b"still here") == b"still here"


def foreign(kind: Pid) -> list[tuple[bytes | str, ...]]:
    """Packets that are not for the port, or not whole; `kind` is that of the data that it would take."""
    out, good = token(Pid.OUT, ADDRESS, ENDPOINT), data(kind, b"wrong")
    wrong_sum = good[:-1] + bytes([good[-1] ^ 1])
    return [
        (good,),
        (token(Pid.OUT, ADDRESS + 1, ENDPOINT), good),
        (token(Pid.OUT, ADDRESS, ENDPOINT - 2), good),
        (out, good[:3]),
        (out, good[:1]),
        (out, wrong_sum),
        (out, bytes([0xC2]) + good[1:]),
        (out, data(kind, bytes(65))),
        (out, token(Pid.OUT, ADDRESS + 1, ENDPOINT), good),
        (out, handshake(Pid.ACK), good),
        (out[:2] + bytes([out[2] ^ 0x80]), good),
        (bytes([out[0] ^ 0x10]) + out[1:], good),
        (out, states(good)[:40] + "J" * 10 + "00J"),
        (out, states(good)[:60] + "00J"),
    ]


@pytest.mark.parametrize("case", range(len(foreign(Pid.DATA0))))
def test_what_is_not_for_the_port_has_no_effect(host: UsbHost, case: int) -> None:
    assert echoed(host, b"before") == b"before"
    assert host.raw(*foreign(host.toggle(ENDPOINT, to_host=False))[case]) is None
    assert echoed(host, b"after") == b"after"


def damaged(line: str, random: Random) -> str:
    """A packet with a state that is another, or with some that are missing, behind its synchronisation. Where only the
    zero is missing that is stuffed in at the end, its content is whole, and it is damaged again."""
    found = line
    while is_whole(found, packet(line)):
        at = random.randrange(SYNC_BITS, len(line) - END_BITS)
        if random.random() < 0.7:
            found = line[:at] + random.choice(sorted({"J", "K", "0"} - {line[at]})) + line[at + 1 :]
        else:
            found = line[:at] + line[at + random.randrange(1, 9) : -END_BITS] + "00J"
    return found


def is_whole(line: str, expected: bytes) -> bool:
    try:
        return packet(line) == expected
    except PacketError:
        return False


def fuzzed(host: UsbHost, count: int) -> None:
    """Damages the token or the data of `count` packets. None may be acknowledged, and the next good one must pass."""
    random = Random(count)
    for number in range(count):
        lines = [states(token(Pid.OUT, ADDRESS, ENDPOINT))]
        lines.append(states(data(host.toggle(ENDPOINT, to_host=False), random.randbytes(random.randrange(1, 20)))))
        which = random.randrange(2)
        lines[which] = damaged(lines[which], random)
        assert host.raw(*lines) is None, f"packet {number}: {lines}"
        marker = number.to_bytes(3, "big")
        assert host.write(marker)
        host.skip(250)
        assert host.read() == marker


def test_damaged_packets_have_no_effect(host: UsbHost) -> None:
    fuzzed(host, 60)


@pytest.mark.slow
def test_many_damaged_packets_have_no_effect(host: UsbHost) -> None:
    fuzzed(host, 3000)


def test_the_line_is_full(host: UsbHost) -> None:
    """Packet upon packet, both ways: at least 90 % of what a frame can carry, 19 packets of 64 bytes (table 5-9)."""
    sent = bytes(64 * 120)
    before, begin = host.packets, host.time
    come, left = b"", sent
    while len(come) < len(sent):
        if left and host.write(left[:64]):
            left = left[64:]
        come += host.read() or b""
    packets = host.packets - before
    assert packets / (host.time - begin) * FRAME_BITS > 0.9 * 19
