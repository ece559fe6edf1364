"""Packets of USB as bytes and as states of the line, against captures and the figures of the standard."""

from __future__ import annotations

from random import Random

import pytest

from zeroskip.cosim.usb.packets import (
    PacketError,
    Pid,
    content,
    data,
    handshake,
    kind,
    packet,
    start_of_frame,
    states,
    token,
)


def test_packets_as_captures_have_them() -> None:
    """What bus analysers show of an enumeration: SETUP, GET_DESCRIPTOR, the first frame, IN, and an acknowledgement."""
    assert token(Pid.SETUP, 0, 0).hex() == "2d0010"
    assert token(Pid.IN, 0, 0).hex() == "690010"
    assert start_of_frame(1).hex() == "a501e8"
    assert data(Pid.DATA0, bytes.fromhex("8006000100004000")).hex() == "c38006000100004000dd94"
    assert data(Pid.DATA1, b"").hex() == "4b0000"
    assert handshake(Pid.ACK).hex() == "d2"


def test_the_checksum_of_a_token_is_that_of_the_standards_examples() -> None:
    """ "Cyclic Redundancy Checks in USB" (usb.org): address and endpoint, and the checksum in the order of sending."""
    for address, endpoint, wanted in ((0x15, 0xE, "10111"), (0x3A, 0xA, "11100"), (0x70, 0x4, "01110")):
        fields = int.from_bytes(token(Pid.OUT, address, endpoint)[1:], "little")
        assert f"{fields >> 11:05b}"[::-1] == wanted


def test_the_states_of_an_acknowledgement() -> None:
    """Synchronisation, 01001011 from the lowest bit on, end: by hand."""
    assert states(handshake(Pid.ACK)) == "KJKJKJKK" + "JJKJJKKK" + "00J"


def test_a_zero_is_stuffed_behind_six_ones() -> None:
    """255 is the byte behind the kind 0xC3, whose last two bits are ones: four of 255 make six."""
    line = states(b"\xc3\xff")
    body = line[8:-3]
    assert len(body) == 8 + 8 + 1
    # The state does not change for ones; the stuffed zero is the twelfth bit, counted from 0.
    assert body[6:12] == body[6] * 6
    assert body[12] != body[11]


def test_there_and_back() -> None:
    random = Random(1)
    for _ in range(300):
        one = bytes(random.choices([0, 255, 127, random.randrange(256)], k=random.randrange(1, 70)))
        assert packet(states(one)) == one


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (states(b"\xc3\x00")[:-3], "must end with 00J"),
        ("KJKJKJKK" + "K" * 9 + "00J", "seven ones in a row"),
        (states(b"\xc3\x00")[1:], "does not begin with the synchronisation"),
        (states(b"\xc3\x00")[:-4] + "00J", "not of whole bytes"),
    ],
)
def test_what_is_no_packet(line: str, message: str) -> None:
    with pytest.raises(PacketError, match=message):
        packet(line)


def test_damage_is_seen_in_the_bytes() -> None:
    whole = data(Pid.DATA1, b"zeroskip")
    assert content(whole) == b"zeroskip"
    for at in range(8, 8 * len(whole)):
        wrong = bytearray(whole)
        wrong[at // 8] ^= 1 << at % 8
        with pytest.raises(PacketError, match="checksum"):
            content(bytes(wrong))
    with pytest.raises(PacketError, match="no kind"):
        kind(b"\xc2")
