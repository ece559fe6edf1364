"""What the tests of the RTL share: a component in simulation whose streams are fed and drained with random pauses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import Any

from amaranth.hdl import Fragment, Module, Shape, Signal, Value
from amaranth.lib import data, memory
from amaranth.sim import Simulator

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.sram import Sram


class HarshPlatform:
    """Memories that hold garbage until they are written, and give garbage for a word read while it is written."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def get_sram(self, sram: Sram) -> Module:
        m = Module()
        init = [self.random.getrandbits(sram.width) for _ in range(sram.depth)]
        m.submodules.memory = storage = memory.Memory(shape=Shape(sram.width), depth=sram.depth, init=init)
        write, read = storage.write_port(), storage.read_port()
        collided = Signal()
        m.d.comb += [
            write.en.eq(sram.write.en),
            write.addr.eq(sram.write.addr),
            write.data.eq(sram.write.data),
            read.en.eq(sram.read.en),
            read.addr.eq(sram.read.addr),
            sram.read.data.eq(read.data ^ collided.replicate(sram.width)),
        ]
        with m.If(sram.read.en):
            m.d.sync += collided.eq(sram.write.en & (sram.write.addr == sram.read.addr))
        return m


def plain(value: Any) -> Any:
    """A sampled structure as a dict, a sampled array as a list."""
    if not isinstance(value, data.Const):
        return value
    layout = value.shape()
    if isinstance(layout, data.ArrayLayout):
        return [plain(value[index]) for index in range(layout.length)]
    return {name: plain(value[name]) for name, _ in layout}


class Transfers:
    """Payloads that went over a stream, and the cycle of each; cycle 0 is the bench's first."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.cycles: list[int] = []

    def add(self, cycle: int, value: Any) -> None:
        self.cycles.append(cycle)
        self.values.append(value)


class Bench:
    """A component in simulation. What `feed`, `drain` and `add` ask for runs side by side, and `run` ends with the
    last.

    `pause` is the probability with which a side of a stream rests in a cycle. What `first` asks for goes before all of
    them, and cycle 0 of the records is the first one after it.
    """

    def __init__(self, dut: Any, seed: int = 0) -> None:
        self.random = Random(seed)
        self.simulator = Simulator(Fragment.get(dut, HarshPlatform(self.random)))
        self.simulator.add_clock(1e-6)
        self.open = 0
        self.prepare: Callable[[Any], Awaitable[None]] | None = None
        self.begun = False

        async def preparing(ctx: Any) -> None:
            if self.prepare:
                await self.prepare(ctx)
            self.begun = True

        # The simulator runs testbenches in the order in which they are added, so that the others find `begun` set.
        self.simulator.add_testbench(preparing, background=True)

    def first(self, testbench: Callable[[Any], Awaitable[None]]) -> None:
        self.prepare = testbench

    def add(self, testbench: Callable[[Any], Awaitable[None]]) -> None:
        async def counted(ctx: Any) -> None:
            while not self.begun:
                await ctx.tick()
            await testbench(ctx)
            self.open -= 1

        self.open += 1
        self.simulator.add_testbench(counted, background=True)

    def feed(self, port: Any, values: Iterable[Any], pause: float = 0.0) -> Transfers:
        """Sends `values`; between them, the payload is garbage."""
        transfers, payload = Transfers(), Value.cast(port.payload)

        async def feeding(ctx: Any) -> None:
            cycle = 0
            for value in values:
                while self.random.random() < pause:
                    ctx.set(payload, self.random.getrandbits(len(payload)))
                    await ctx.tick()
                    cycle += 1
                ctx.set(port.payload, value)
                ctx.set(port.valid, 1)
                taken = False
                while not taken:
                    _, _, taken = await ctx.tick().sample(port.ready)
                    cycle += 1
                transfers.add(cycle - 1, value)
                ctx.set(port.valid, 0)

        self.add(feeding)
        return transfers

    def drain(self, port: Any, count: int, pause: float = 0.0) -> Transfers:
        """Takes `count` payloads, and checks that each stands still until it is taken."""
        transfers = Transfers()

        async def draining(ctx: Any) -> None:
            cycle, waiting = 0, None
            while len(transfers.values) < count:
                ready = self.random.random() >= pause
                ctx.set(port.ready, ready)
                _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
                offered = plain(payload) if valid else None
                assert waiting is None or offered == waiting, "a payload must stand still until it is taken"
                waiting = None if ready else offered
                if valid and ready:
                    transfers.add(cycle, offered)
                cycle += 1
            ctx.set(port.ready, 0)

        self.add(draining)
        return transfers

    def watch(self, valid: Any, *signals: Any) -> Transfers:
        """Records a signal, or a tuple of several, wherever `valid`."""
        transfers = Transfers()

        async def watching(ctx: Any) -> None:
            cycle = 0
            async for _, _, is_valid, *values in ctx.tick().sample(valid, *signals):
                if is_valid and self.begun:
                    sampled = tuple(map(plain, values))
                    transfers.add(cycle, sampled if len(sampled) > 1 else sampled[0])
                cycle += self.begun

        self.simulator.add_process(watching)
        return transfers

    def trace(self, *signals: Any) -> list[tuple[Any, ...]]:
        """Records `signals` in every cycle."""
        cycles: list[tuple[Any, ...]] = []

        async def tracing(ctx: Any) -> None:
            async for _, _, *values in ctx.tick().sample(*signals):
                if self.begun:
                    cycles.append(tuple(map(plain, values)))

        self.simulator.add_process(tracing)
        return cycles

    def run(self, *, settle: int = 0, limit: int = 20_000) -> None:
        """Runs until all has been done, and for `settle` cycles more."""

        async def running(ctx: Any) -> None:
            cycles = 0
            while self.open or not self.begun:
                assert cycles < limit, f"not done after {limit} cycles"
                await ctx.tick()
                cycles += 1
            for _ in range(settle):
                await ctx.tick()

        self.simulator.add_testbench(running)
        self.simulator.run()


async def load(ctx: Any, port: Any, words: Iterable[Any]) -> None:
    """Writes a memory from address 0 on through its write port."""
    ctx.set(port.en, 1)
    for address, word in enumerate(words):
        ctx.set(port.addr, address)
        ctx.set(port.data, word)
        await ctx.tick()
    ctx.set(port.en, 0)


def at(dut: Any, path: str) -> Any:
    """The port `a.b` of a component."""
    for name in path.split("."):
        dut = getattr(dut, name)
    return dut


def evaluate(dut: Any, vectors: Iterable[dict[str, int]], *outputs: str) -> list[tuple[int, ...]]:
    """Outputs of a combinational component for each vector of its inputs."""
    results = []

    async def testbench(ctx: Any) -> None:
        for vector in vectors:
            for name, value in vector.items():
                ctx.set(at(dut, name), value)
            results.append(tuple(ctx.get(at(dut, name)) for name in outputs))

    simulator = Simulator(dut)
    simulator.add_testbench(testbench)
    simulator.run()
    return results


def pipelined(dut: Any, vectors: Sequence[dict[str, int]], output: str, latency: int) -> list[int]:
    """The output of a pipeline for each vector of its inputs, one vector a cycle."""
    results = []

    async def testbench(ctx: Any) -> None:
        for index in range(len(vectors) + latency):
            for name, value in vectors[index % len(vectors)].items():
                ctx.set(at(dut, name), value)
            if index >= latency:
                results.append(ctx.get(at(dut, output)))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return results


def geometry(**sizes: int) -> EieGeometry:
    """A small array: one PE unless told otherwise."""
    small = {"pes": 1, "entry_words": 16, "pointers": 16, "activation_rows": 64, "layers": 2}
    return EieGeometry(**{**small, **sizes})


def clamp(value: int, bits: int) -> int:
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))
