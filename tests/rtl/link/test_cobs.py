"""The stuffing, compared with the `cobs` package."""

from __future__ import annotations

from random import Random

import pytest
from cobs import cobs
from support.bench import Bench

from zeroskip.rtl.link.cobs import CobsDecoder, CobsEncoder


def rtl_encode(frames: list[bytes], *, seed: int = 0, i_pause: float = 0.0, o_pause: float = 0.0) -> bytes:
    dut = CobsEncoder()
    bench = Bench(dut, seed)
    beats = [{"data": byte, "end": at == len(frame) - 1} for frame in frames for at, byte in enumerate(frame)]
    bench.feed(dut.i, beats, i_pause)
    taken = bench.drain(dut.o, sum(len(cobs.encode(frame)) + 1 for frame in frames), o_pause)
    bench.run(settle=20)
    return bytes(taken.values)


def rtl_decode(stream: bytes, beats: int, *, seed: int = 0, i_pause: float = 0.0, o_pause: float = 0.0) -> list[bytes]:
    """The frames in `stream`; a frame that was cut ends with the bytes "cut"."""
    dut = CobsDecoder()
    bench = Bench(dut, seed)
    bench.feed(dut.i, stream, i_pause)
    taken = bench.drain(dut.o, beats, o_pause)
    bench.run(settle=20)
    frames, frame = [], b""
    for beat in taken.values:
        if beat["end"]:
            frames.append(frame + b"cut" * beat["cut"])
            frame = b""
        else:
            frame += bytes([beat["data"]])
    return frames


def some_frames(seed: int) -> list[bytes]:
    """Frames of which every fourth byte is zero, none, or all; 254 bytes fill a block."""
    random = Random(seed)
    values = [lambda: random.choice([0, 1, 2, 255]), lambda: random.randrange(1, 256), lambda: 0]
    lengths = [1, 2, 3, 253, 254, 255, 256, random.randrange(257, 600)]
    return [bytes(random.choice(values)() for _ in range(length)) for length in lengths]


def runs_of(length: int) -> list[bytes]:
    """A frame without zeros, and with a zero before, behind and around it."""
    full = bytes(1 + index % 255 for index in range(length))
    return [full, b"\0" + full, full + b"\0", b"\0" + full + b"\0"]


@pytest.mark.parametrize(("i_pause", "o_pause"), [(0.0, 0.0), (0.5, 0.2), (0.0, 0.7)])
def test_encodes_as_the_package_does(i_pause: float, o_pause: float) -> None:
    for seed, frames in enumerate([some_frames(1), runs_of(254), runs_of(508)]):
        expected = b"".join(cobs.encode(frame) + b"\0" for frame in frames)
        assert rtl_encode(frames, seed=seed, i_pause=i_pause, o_pause=o_pause) == expected


@pytest.mark.parametrize(("i_pause", "o_pause"), [(0.0, 0.0), (0.5, 0.2), (0.0, 0.7)])
def test_decodes_what_the_package_encodes(i_pause: float, o_pause: float) -> None:
    for seed, frames in enumerate([some_frames(2), runs_of(254), runs_of(508)]):
        stream = b"".join(cobs.encode(frame) + b"\0" for frame in frames)
        beats = sum(len(frame) + 1 for frame in frames)
        assert rtl_decode(stream, beats, seed=seed, i_pause=i_pause, o_pause=o_pause) == frames


def test_zeros_between_frames_are_no_frames() -> None:
    assert rtl_decode(b"\0\0\0" + cobs.encode(b"a") + b"\0\0\0" + cobs.encode(b"b") + b"\0", 4) == [b"a", b"b"]


@pytest.mark.parametrize("kept", range(1, 7))
def test_a_frame_that_ends_inside_a_block_is_cut(kept: int) -> None:
    """The next one is whole."""
    part = cobs.encode(b"abcdef")[:kept]
    assert rtl_decode(part + b"\0" + cobs.encode(b"x") + b"\0", kept + 2) == [b"abcdef"[: kept - 1] + b"cut", b"x"]


def test_a_byte_a_cycle_comes_in() -> None:
    dut = CobsDecoder()
    bench = Bench(dut)
    given = bench.feed(dut.i, cobs.encode(bytes(range(1, 200))) + b"\0")
    bench.drain(dut.o, 200)
    bench.run()
    assert given.cycles == list(range(201))
