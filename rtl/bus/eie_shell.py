"""The EIE array behind registers, windows and streams; what joins them to a bus is around it."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.bus.axi import axi_memory
from zeroskip.rtl.bus.eie_map import eie_map
from zeroskip.rtl.bus.images import ImageBuffer
from zeroskip.rtl.bus.lists import ListError, ListRunner
from zeroskip.rtl.bus.ports import access_port, beat_stream
from zeroskip.rtl.bus.register_map import REGISTER_BITS, RegisterMap
from zeroskip.rtl.bus.registers import Registers, reported
from zeroskip.rtl.bus.results import ResultPacker
from zeroskip.rtl.bus.runner import Runner
from zeroskip.rtl.bus.windows import Windows
from zeroskip.rtl.eie.array import Array
from zeroskip.rtl.eie.layouts import Activity, LoadTarget

TARGETS = {
    "CODEBOOKS": LoadTarget.CODEBOOKS,
    "LAYER_TABLE": LoadTarget.LAYERS,
    "INPUTS_OF_RUN": LoadTarget.ACTIVATIONS,
    "POINTERS": LoadTarget.POINTERS,
    "ENTRIES": LoadTarget.ENTRIES,
}
"""The memories behind the windows that are written."""


def widest_stream(geometry: EieGeometry) -> int:
    """Bits of a stream that brings as many values in a beat as the array takes in a cycle."""
    return geometry.activation_lanes * VALUE_BITS


def check_stream_bits(geometry: EieGeometry, stream_bits: int) -> None:
    """Raises ValueError unless streams of so many bits fit the words of the array's load port."""
    most = widest_stream(geometry)
    fit = [bits for bits in (VALUE_BITS, 2 * VALUE_BITS, 4 * VALUE_BITS) if bits <= most]
    if stream_bits not in fit:
        choices = ", ".join(map(str, fit))
        raise ValueError(
            f"stream_bits must be one of {choices}, which divide the {most} bits of a load of "
            f"{geometry.pes} PEs, not {stream_bits}"
        )


class _Shell(wiring.Component):
    """An EIE array with registers and windows, images that come in and results that go out. What they come from is a
    subclass's: it gives the other ports, and joins them to the parts in `_outside`."""

    def __init__(
        self, geometry: EieGeometry, described: RegisterMap, members: dict[str, wiring.Member], *, stream_bits: int
    ) -> None:
        self.geometry = geometry
        self.described = described
        self._beat_values = stream_bits // VALUE_BITS
        # Images are wanted; they are to be forgotten; and software must not touch the core, besides while it works.
        self._enable, self._flush, self._kept = Signal(), Signal(), Signal()
        super().__init__({"access": In(access_port(described.address_bits)), **members, "irq": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        sizes = {"values": geometry.activations, "value_bits": VALUE_BITS, "beat_values": self._beat_values}
        m.submodules.array = array = Array(geometry)
        m.submodules.registers = registers = Registers(self.described)
        m.submodules.windows = windows = Windows(self.described)
        m.submodules.buffer = buffer = ImageBuffer(**sizes, word_values=geometry.activation_lanes)
        m.submodules.packer = packer = ResultPacker(**sizes)
        m.submodules.runner = runner = Runner(geometry)
        wiring.connect(m, registers.window, windows.access)
        wiring.connect(m, buffer.o, runner.images)
        self._control(m, array, registers, buffer, packer, runner)
        self._load(m, array, windows, runner)
        self._read(m, array, windows, runner, packer)
        self._report(m, array, registers, buffer, packer, runner)
        self._outside(m, registers, buffer, packer, runner)
        return m

    def _outside(
        self, m: Module, registers: Registers, buffer: ImageBuffer, packer: ResultPacker, runner: Runner
    ) -> None:
        raise NotImplementedError

    def _take_images(self, m: Module, buffer: ImageBuffer, images: Any) -> None:
        """None comes in while images are forgotten."""
        m.d.comb += [
            buffer.i.payload.eq(images.payload),
            buffer.i.valid.eq(images.valid & ~self._flush),
            images.ready.eq(buffer.i.ready & ~self._flush),
        ]

    def _control(
        self, m: Module, array: Array, registers: Registers, buffer: ImageBuffer, packer: ResultPacker, runner: Runner
    ) -> None:
        settings, pulses = registers.settings, registers.pulses
        # Nothing comes in from when software asks for it to when it is done: not while an image is loaded of which the
        # buffer still has words.
        with m.If(pulses.stream.flush):
            m.d.sync += self._flush.eq(1)
        with m.Elif(~runner.loading):
            m.d.sync += self._flush.eq(0)
        m.d.comb += [
            buffer.enable.eq(self._enable),
            buffer.flush.eq(self._flush & ~runner.loading),
            buffer.inputs.eq(settings.inputs.inputs),
            packer.outputs.eq(settings.outputs.outputs),
            runner.outputs.eq(settings.outputs.outputs),
            runner.start.eq(pulses.start.start),
            runner.hold.eq(self._flush),
            array.start.eq(runner.array_start),
            array.first.eq(settings.first.first),
            runner.array_idle.eq(array.idle),
            runner.array_done.eq(array.done),
            registers.locked.eq(runner.running | settings.stream.enable | buffer.busy | self._kept),
        ]

    def _load(self, m: Module, array: Array, windows: Windows, runner: Runner) -> None:
        """Words come from the image that is loaded, or from the windows."""
        word = windows.load.payload
        lane_bits = self.geometry.activation_lanes.bit_length() - 1
        inputs = list(TARGETS).index("INPUTS_OF_RUN")
        target = Signal(LoadTarget)
        with m.Switch(word.window):
            for number, one in enumerate(TARGETS.values()):
                with m.Case(number):
                    m.d.comb += target.eq(one)
        m.d.comb += [
            array.load.payload.target.eq(target),
            array.load.payload.pe.eq(word.instance),
            array.load.payload.address.eq(Mux(word.window == inputs, word.address << lane_bits, word.address)),
            array.load.payload.data.eq(word.data),
            array.load.valid.eq(windows.load.valid),
            windows.load.ready.eq(array.load.ready),
        ]
        with m.If(runner.loading):
            m.d.comb += [
                array.load.payload.target.eq(LoadTarget.ACTIVATIONS),
                array.load.payload.address.eq(runner.inputs.payload.address),
                array.load.payload.data.eq(runner.inputs.payload.data),
                array.load.valid.eq(runner.inputs.valid),
                windows.load.ready.eq(0),
                runner.inputs.ready.eq(array.load.ready),
            ]

    def _read(self, m: Module, array: Array, windows: Windows, runner: Runner, packer: ResultPacker) -> None:
        """Results go to the stream or to the window."""
        m.d.comb += [
            windows.result.payload.eq(array.result.payload),
            packer.i.payload.eq(array.result.payload),
        ]
        with m.If(runner.reading):
            m.d.comb += [
                array.read.payload.eq(runner.read.payload),
                array.read.valid.eq(runner.read.valid),
                runner.read.ready.eq(array.read.ready),
                packer.i.valid.eq(array.result.valid),
                array.result.ready.eq(packer.i.ready),
            ]
        with m.Else():
            m.d.comb += [
                array.read.payload.eq(windows.read.payload.address),
                array.read.valid.eq(windows.read.valid),
                windows.read.ready.eq(array.read.ready),
                windows.result.valid.eq(array.result.valid),
                array.result.ready.eq(windows.result.ready),
            ]

    def _report(
        self, m: Module, array: Array, registers: Registers, buffer: ImageBuffer, packer: ResultPacker, runner: Runner
    ) -> None:
        """Status, events and counters."""
        status, events = registers.status, registers.events.events
        dropped = buffer.dropped
        m.d.comb += [
            status.status.running.eq(runner.running),
            status.status.locked.eq(registers.locked),
            status.status.receiving.eq(buffer.receiving),
            status.status.sending.eq(packer.busy),
            status.status.images.eq(buffer.images),
            status.cycles.cycles.eq(runner.cycles),
            events.done.eq(runner.ended),
            *reported(registers, self.irq),
            events.short.eq(dropped.short),
            events.long.eq(dropped.long),
            events.keep.eq(dropped.keep),
        ]
        monitor = array.monitor
        working = Signal(range(self.geometry.pes + 1))
        m.d.sync += working.eq(reduce(add, (activity == Activity.BUSY for activity in monitor.activity)))
        counted = {
            "runs": runner.ended,
            "busy_cycles": runner.computing,
            "blocked_cycles": monitor.blocked,
            "drain_cycles": monitor.draining,
            "weights": working,
            "starved_cycles": self._enable & ~runner.running & ~buffer.o.valid,
            "waiting_cycles": packer.o.valid & ~packer.o.ready,
            "dropped": dropped.as_value().any(),
        }
        for name, step in counted.items():
            counter = Signal(REGISTER_BITS, name=name)
            m.d.sync += counter.eq(counter + step)
            m.d.comb += status[name][name].eq(counter)


class ArrayShell(_Shell):
    """An EIE array with the registers and windows of `eie_map`, streams of images and results, and an interrupt.

    An image that comes over the stream is kept until it is whole and the array is free, is loaded and run, and its
    results are sent. Meanwhile the next images come in.

    Latency: an access to a register is done after two cycles. Throughput: see Runner.

    Parameters
    ----------
    geometry : EieGeometry
    stream_bits
        Bits of a beat of the streams: 16, 32 or 64, and at most as many as a word of inputs. ValueError otherwise.

    Ports
    -----
    access : access_port, in
        Accesses to the map.
    images : stream of beat_layout, in
        Images.
    results : stream of beat_layout, out
        Their results.
    irq : 1, out
        An event is set that is enabled in INTERRUPTS.
    """

    def __init__(self, geometry: EieGeometry, *, stream_bits: int) -> None:
        check_stream_bits(geometry, stream_bits)
        beats = beat_stream(stream_bits // VALUE_BITS, VALUE_BITS)
        members = {"images": In(beats), "results": Out(beats)}
        super().__init__(geometry, eie_map(geometry, stream_bits), members, stream_bits=stream_bits)

    def _outside(
        self, m: Module, registers: Registers, buffer: ImageBuffer, packer: ResultPacker, runner: Runner
    ) -> None:
        wiring.connect(m, wiring.flipped(self.access), registers.access)
        wiring.connect(m, packer.o, wiring.flipped(self.results))
        self._take_images(m, buffer, self.images)
        m.d.comb += self._enable.eq(registers.settings.stream.enable)


class ListShell(_Shell):
    """An EIE array with the registers and windows of `eie_map`, lists of descriptors in memory, and an interrupt.

    While a list runs, software has the registers, but not what starts and the windows: these are the list's.

    Latency: an access to a register is done after two cycles, or after one of the list. Throughput: see ListRunner.

    Parameters
    ----------
    geometry : EieGeometry
        Of two PEs at least, or ValueError: a word of the memory has two values.

    Ports
    -----
    access : access_port, in
        Accesses to the map.
    memory : axi_memory, out
        The memory.
    irq : 1, out
        An event is set that is enabled in INTERRUPTS.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        if widest_stream(geometry) < REGISTER_BITS:
            raise ValueError(f"pes must be at least 2 for lists in memory, not {geometry.pes}")
        described = eie_map(geometry, REGISTER_BITS, lists=True)
        super().__init__(geometry, described, {"memory": Out(axi_memory())}, stream_bits=REGISTER_BITS)

    def _outside(
        self, m: Module, registers: Registers, buffer: ImageBuffer, packer: ResultPacker, runner: Runner
    ) -> None:
        settings, status, events = registers.settings, registers.status, registers.events.events
        m.submodules.lists = lists = ListRunner(
            address_bits=self.described.address_bits, values=self.geometry.activations
        )
        of_list = self._share(m, registers, lists)
        self._take_images(m, buffer, lists.images)
        wiring.connect(m, packer.o, lists.results)
        wiring.connect(m, lists.memory, wiring.flipped(self.memory))
        with m.If(lists.flush):
            m.d.sync += self._flush.eq(1)
        m.d.comb += [
            self._enable.eq(settings.stream.enable | lists.running),
            self._kept.eq(lists.running & ~of_list),
            lists.start.eq(registers.pulses.list_start.start),
            lists.first.eq(settings.list.address),
            lists.stop.eq(registers.pulses.list_stop.stop),
            lists.inputs.eq(settings.inputs.inputs),
            lists.outputs.eq(settings.outputs.outputs),
            lists.full.eq(packer.i.valid & ~packer.i.ready),
            lists.idle.eq(~runner.running & ~buffer.busy & ~packer.busy),
            status.list_status.running.eq(lists.running),
            status.list_status.error.eq(lists.error),
            status.list_at.address.eq(lists.at),
            events.list.eq(lists.ended),
            events.list_failed.eq(lists.ended & (lists.error != ListError.NONE)),
        ]

    def _share(self, m: Module, registers: Registers, lists: ListRunner) -> Signal:
        """Accesses of software and of the list, one at a time. Returns whether the one under way is the list's."""
        host, own, access = self.access, lists.access, registers.access
        under_way, of_list, before = Signal(), Signal(), Signal()
        m.d.comb += of_list.eq(Mux(under_way, before, ~host.valid))
        m.d.sync += [before.eq(of_list), under_way.eq(access.valid & ~access.done)]
        for name in ("valid", "write", "address", "data", "strobe"):
            m.d.comb += getattr(access, name).eq(Mux(of_list, getattr(own, name), getattr(host, name)))
        for port, chosen in ((host, ~of_list), (own, of_list)):
            m.d.comb += [
                port.done.eq(access.done & chosen),
                port.answer.eq(access.answer),
                port.refusal.eq(access.refusal),
            ]
        return of_list
