# amaranth: UnusedElaboratable=no
"""Images that come in and results that go out, with random pauses, against a few lines of Python."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from support.bench import Bench

from zeroskip.rtl.bus.images import ImageBuffer
from zeroskip.rtl.bus.results import ResultPacker

VALUE_BITS = 16


def batched(values: list[int], size: int) -> list[list[int]]:
    """Parts of `size` values, the last one of what is left."""
    return [values[first : first + size] for first in range(0, len(values), size)]


def beats(values: list[int], beat_values: int, keep: int | None = None) -> list[dict[str, int]]:
    """The beats of a packet; `keep` replaces that of its last one."""
    found = []
    for part in batched(values, beat_values):
        data = sum(value << VALUE_BITS * lane for lane, value in enumerate(part))
        found.append({"data": data, "keep": (1 << 2 * len(part)) - 1, "last": 0})
    found[-1] |= {"last": 1} | ({} if keep is None else {"keep": keep})
    return found


def rtl_images(
    packets: list[list[dict[str, int]]], count: int, *, inputs: int, seed: int, pause: float, **sizes: int
) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """The first `count` words that come out of a buffer, and the reasons for which packets were dropped."""
    dut = ImageBuffer(value_bits=VALUE_BITS, **sizes)
    bench = Bench(dut, seed)

    async def set_up(ctx: Any) -> None:
        ctx.set(dut.inputs, inputs)
        ctx.set(dut.enable, 1)

    bench.first(set_up)
    bench.feed(dut.i, [beat for packet in packets for beat in packet], pause)
    words = bench.drain(dut.o, count, pause)
    dropped = bench.watch(dut.dropped.as_value().any(), dut.dropped)
    bench.run(settle=4)
    return words.values, dropped.values


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize(
    ("values", "beat_values", "word_values"), [(12, 1, 4), (12, 2, 4), (16, 4, 4), (5, 1, 1), (6, 2, 2), (4, 4, 4)]
)
def test_images(values: int, beat_values: int, word_values: int, pause: float) -> None:
    """Of packets good and wrong, the good ones come out, whole and in order, and each wrong one is told by its reason:
    too few values, too many, many more than there is room for, a gap, half a value, nothing in its last beat."""
    random = Random(values * 100 + beat_values)
    inputs = values if values < 6 else values - 1
    full = (1 << 2 * beat_values) - 1
    packets, wanted, reasons = [], [], []
    for _ in range(30):
        kind = random.choice(["good", "good", "short", "long", "huge", "half", "nothing", "hole"])
        length = {"short": random.randint(1, inputs - 1), "long": inputs + random.randint(1, 3), "huge": 5 * values}
        numbers = [random.getrandbits(VALUE_BITS) for _ in range(length.get(kind, inputs))]
        keep = {"half": 1, "nothing": 0, "hole": full & ~3 if beat_values > 1 else 0}.get(kind)
        packets.append(beats(numbers, beat_values, keep))
        if kind == "good":
            words = batched(numbers, word_values)
            for number, part in enumerate(words):
                data = sum(value << VALUE_BITS * lane for lane, value in enumerate(part))
                wanted.append({"data": data, "last": int(number == len(words) - 1)})
        else:
            reason = "keep" if keep is not None else "short" if kind == "short" else "long"
            reasons.append({name: int(name == reason) for name in ("short", "long", "keep")})
    sizes = {"values": values, "beat_values": beat_values, "word_values": word_values}
    found = rtl_images(packets, len(wanted), inputs=inputs, seed=7, pause=pause, **sizes)
    assert found == (wanted, reasons)


def test_the_throughput_of_images() -> None:
    """A beat and a word a cycle: while an image is given away, the next one comes in."""
    dut = ImageBuffer(values=16, value_bits=VALUE_BITS, beat_values=2, word_values=2)
    bench = Bench(dut)

    async def set_up(ctx: Any) -> None:
        ctx.set(dut.inputs, 16)
        ctx.set(dut.enable, 1)

    bench.first(set_up)
    fed = bench.feed(dut.i, [beat for _ in range(10) for beat in beats(list(range(16)), 2)])
    given = bench.drain(dut.o, 80)
    bench.run()
    assert fed.cycles[-1] - fed.cycles[0] <= 79 + 3 * 10
    assert given.cycles[0] - fed.cycles[7] == 2


def test_beats_must_divide_words() -> None:
    with pytest.raises(ValueError, match="word_values must be a multiple of beat_values, not 4 and 3"):
        ImageBuffer(values=8, value_bits=16, beat_values=3, word_values=4)


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize(("outputs", "beat_values"), [(1, 1), (5, 1), (1, 4), (10, 4), (8, 4), (7, 2)])
def test_results(outputs: int, beat_values: int, pause: float) -> None:
    random = Random(outputs)
    results = [[random.getrandbits(VALUE_BITS) for _ in range(outputs)] for _ in range(20)]
    dut = ResultPacker(values=12, value_bits=VALUE_BITS, beat_values=beat_values)
    bench = Bench(dut, outputs)

    async def set_up(ctx: Any) -> None:
        ctx.set(dut.outputs, outputs)

    bench.first(set_up)
    bench.feed(dut.i, [value for result in results for value in result], pause)
    wanted = [beat for result in results for beat in beats(result, beat_values)]
    found = bench.drain(dut.o, len(wanted), pause)
    bench.run()
    assert found.values == wanted
