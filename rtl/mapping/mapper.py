"""The mapping unit: kernel maps and sorted lists, from memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.block_sorter import BlockSorter
from zeroskip.rtl.mapping.distances import Distances
from zeroskip.rtl.mapping.layouts import (
    MapperTarget,
    job_layout,
    load_layout,
    stored_layout,
    triple_layout,
    triples_layout,
    word_layout,
)
from zeroskip.rtl.mapping.least_distances import LeastDistances
from zeroskip.rtl.mapping.least_entry import LeastEntry
from zeroskip.rtl.mapping.matcher import Matcher
from zeroskip.rtl.mapping.merger import Merger
from zeroskip.rtl.mapping.packer import Packer
from zeroskip.rtl.mapping.ranker import Ranker
from zeroskip.rtl.mapping.reader import Reader
from zeroskip.rtl.mapping.sequencer import Sequencer
from zeroskip.rtl.mapping.thinner import Thinner
from zeroskip.rtl.sram import Sram


class Mapper(wiring.Component):
    """PointAcc's mapping unit (Lin et al., MICRO 2021): finds the kernel maps of sparse convolutions by merging sorted
    lists of keys, and sorts the lists before.

    The keys lie in two equal memories, one for each reader. zeroskip.model.mapping.golden computes the triples and the
    sorted lists, and zeroskip.model.mapping.cycles the cycles from `start` to `done` while no triples wait.

        memory -> reader a -> merger -> matcher -> packer -> triples
        memory -> reader b ->    |
                                 +----> thinner -> packer -> memory
        memory -> reader a -> block sorter -^

    Points are ranked by their distance to queries: reader a -> distances -> block sorter -> ranker, which keeps the
    nearest -> thinner -> packer -> memory. Farthest-point sampling has a stage more, after the distances, which keeps
    the least of them in the memory; and after the block sorter, the smallest entry is enough.

    Latency: `result` follows `read` by two cycles. Throughput: `width` keys a cycle, offset by offset without a gap;
    one transfer of `load` a cycle, one word of `result` in two cycles.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    load : stream of load_layout, in
        Words for the memories (see MapperTarget). Waits while a job writes.
    start : stream of job_layout, in
        Jobs; one is taken while none runs.
    triples : stream of triples_layout, out
        The map, by offset, then by output. Everything stops while triples wait.
    done : 1, out
        High for one cycle when all triples of a map have left, or the results of another job stand in the memory.
    sorted : range(keys + 1), out
        Keys that the last sort or ranking stored, from the cycle after `done`.
    disordered : 1, out
        High if a list of the last map was not sorted, or held a key twice: then the triples are wrong.
    read : stream of addresses, in
        Requests for words of the memory; they wait while a job runs.
    result : stream of word_layout, out
        These words, in order.
    """

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "load": In(stream.Signature(load_layout(geometry))),
                "start": In(stream.Signature(job_layout(geometry))),
                "triples": Out(stream.Signature(triples_layout(geometry))),
                "done": Out(1),
                "sorted": Out(bits_for(geometry.keys + 1)),
                "disordered": Out(1),
                "read": In(stream.Signature(geometry.address_bits)),
                "result": Out(stream.Signature(word_layout(geometry))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        m.submodules.sequencer = sequencer = Sequencer(geometry)
        m.submodules.reader_a = reader_a = Reader(geometry)
        m.submodules.reader_b = reader_b = Reader(geometry)
        m.submodules.distances = distances = Distances(geometry)
        m.submodules.least = least = LeastDistances(geometry)
        m.submodules.block_sorter = block_sorter = BlockSorter(geometry)
        m.submodules.merger = merger = Merger(geometry)
        m.submodules.ranker = ranker = Ranker(geometry)
        m.submodules.least_entry = least_entry = LeastEntry(geometry)
        m.submodules.matcher = matcher = Matcher(geometry)
        m.submodules.thinner = thinner = Thinner(geometry)
        m.submodules.pack_triples = pack_triples = Packer(shape=triple_layout(geometry), lanes=geometry.pairs)
        m.submodules.pack_keys = pack_keys = Packer(shape=stored_layout(geometry), lanes=geometry.width)

        wiring.connect(m, wiring.flipped(self.start), sequencer.start)
        wiring.connect(m, sequencer.a, reader_a.run)
        wiring.connect(m, sequencer.b, reader_b.run)
        presort, rank, farthest = sequencer.presort, sequencer.rank, sequencer.farthest
        mapping = ~sequencer.sort & ~rank
        for used, source, sink in (
            (presort, reader_a.o, block_sorter.i),
            (presort, block_sorter.o, thinner.i),
            (~presort & ~rank, reader_a.o, merger.a),
            (sequencer.sort & ~presort, merger.o, thinner.i),
            (mapping, merger.o, matcher.i),
            (rank, reader_a.o, distances.i),
            (rank & ~farthest, distances.o, block_sorter.i),
            (rank & ~farthest, block_sorter.o, ranker.i),
            (rank & ~farthest, ranker.o, thinner.i),
            (farthest, distances.o, least.i),
            (farthest, reader_b.o, least.before),
            (farthest, least.o, block_sorter.i),
            (farthest, block_sorter.o, least_entry.i),
            (farthest, least_entry.o, thinner.i),
            (~rank, reader_b.o, merger.b),
        ):
            with m.If(used):
                m.d.comb += [
                    sink.payload.eq(source.payload),
                    sink.valid.eq(source.valid),
                    source.ready.eq(sink.ready),
                ]
        wiring.connect(m, matcher.o, pack_triples.i)
        wiring.connect(m, thinner.o, pack_keys.i)
        wiring.connect(m, pack_triples.o, wiring.flipped(self.triples))
        m.d.comb += [
            matcher.clear.eq(self._begins),
            self.disordered.eq(matcher.disordered),
            distances.limit.eq(sequencer.limit),
            least.first.eq(sequencer.first),
            least.base.eq(sequencer.list_b),
            thinner.unique.eq(sequencer.unique),
            thinner.nearest.eq(sequencer.nearest),
            sequencer.finished.eq(pack_triples.done | pack_keys.done),
            self.done.eq(sequencer.done),
        ]
        self._memories(m, sequencer, [reader_a, reader_b], pack_keys, least)
        return m

    @property
    def _begins(self) -> Any:
        """A job begins."""
        return self.start.valid & self.start.ready

    def _memories(
        self, m: Module, sequencer: Sequencer, readers: list[Reader], packer: Packer, least: LeastDistances
    ) -> None:
        """The memories, which the load port, the packer of sorted keys and the stage of least distances write."""
        load, layout = self.load.payload, word_layout(self.geometry)
        loading = self.load.valid & self.load.ready
        m.submodules.shifts = shifts = memory.Memory(
            shape=Shape(self.geometry.key_bits), depth=self.geometry.offsets, init=[]
        )
        lookup, table = shifts.read_port(domain="comb"), shifts.write_port()
        m.d.comb += [
            self.load.ready.eq(~packer.o.valid & ~least.write.en),
            lookup.addr.eq(sequencer.shift.addr),
            sequencer.shift.data.eq(lookup.data),
            table.en.eq(loading & (load.target == MapperTarget.SHIFTS)),
            table.addr.eq(load.address),
            table.data.eq(load.data),
        ]
        copies = [Sram(depth=self.geometry.words, width=layout.size) for _ in readers]
        m.submodules.copy_a, m.submodules.copy_b = copies
        write = copies[0].write
        m.d.comb += [
            write.en.eq(loading & (load.target == MapperTarget.KEYS)),
            write.addr.eq(load.address),
            write.data.eq(load.data),
        ]
        # The least distances of a pass are all stored before its result is.
        with m.If(least.write.en):
            m.d.comb += [write.en.eq(1), write.addr.eq(least.write.addr), write.data.eq(least.write.data)]
        self._write(m, sequencer, write, packer)
        m.d.comb += [copies[1].write.en.eq(write.en), copies[1].write.addr.eq(write.addr)]
        m.d.comb += copies[1].write.data.eq(write.data)
        for reader, copy in zip(readers, copies, strict=True):
            m.d.comb += [
                copy.read.en.eq(reader.memory.en),
                copy.read.addr.eq(reader.memory.addr),
                reader.memory.data.eq(copy.read.data),
            ]
        self._answer(m, sequencer, copies[0])
        self._follow(m, sequencer, copies[0], packer)

    def _write(self, m: Module, sequencer: Sequencer, write: Any, packer: Packer) -> None:
        """Writes packed keys word by word, and counts them."""
        at = Signal(self.geometry.address_bits)
        m.d.comb += packer.o.ready.eq(1)
        with m.If(packer.o.valid):
            words = [
                Cat(Mux(sequencer.renumber, Cat(position, at)[: len(value.index)], value.index), value.key)
                for position, value in self._numbered(packer)
            ]
            m.d.comb += [
                write.en.eq(1),
                write.addr.eq(sequencer.into + at),
                write.data.eq(Cat(*words)),
            ]
            m.d.sync += [at.eq(at + 1), self.sorted.eq(self.sorted + packer.o.payload.count)]
        with m.If(self._begins | sequencer.finished):
            m.d.sync += at.eq(0)
        with m.If(
            (self._begins & (self.start.payload.sort | self.start.payload.rank))
            | (sequencer.finished & ~sequencer.last)
        ):
            m.d.sync += self.sorted.eq(0)

    def _numbered(self, packer: Packer) -> list[tuple[Any, Any]]:
        """The packer's values with their places in a word."""
        levels = self.geometry.levels
        return [(Const(lane, levels), packer.o.payload.values[lane]) for lane in range(self.geometry.width)]

    def _follow(self, m: Module, sequencer: Sequencer, copy: Sram, packer: Packer) -> None:
        """After a pass of farthest-point sampling, looks up the key of its sample, the origin of the next pass."""
        levels = self.geometry.levels
        chosen = Signal(self.geometry.index_bits)
        asking, here = Signal(), Signal()
        word = data.View(word_layout(self.geometry), copy.read.data)
        with m.If(packer.o.valid):
            m.d.sync += chosen.eq(packer.o.payload["values"][0].index)
        m.d.sync += [asking.eq(sequencer.finished & sequencer.farthest & ~sequencer.last), here.eq(asking)]
        with m.If(asking):
            m.d.comb += [copy.read.en.eq(1), copy.read.addr.eq(sequencer.list_a + (chosen >> levels))]
        m.d.comb += sequencer.proceed.eq(here)
        with m.If(here):
            keys = Array(word[lane].key for lane in range(self.geometry.width))
            m.d.sync += sequencer.origin.eq(-keys[chosen[:levels]] if levels else -keys[0])

    def _answer(self, m: Module, sequencer: Sequencer, copy: Sram) -> None:
        """Reads a word for `read` while no job runs, and keeps it until it is taken."""
        fresh, answering, asking = Signal(), Signal(), Signal()
        answer = Signal(word_layout(self.geometry))
        m.d.comb += [
            # A job begins only where nothing is read in the same cycle: its first read comes later.
            self.read.ready.eq(sequencer.start.ready & ~fresh & (~answering | self.result.ready)),
            asking.eq(self.read.valid & self.read.ready),
            self.result.valid.eq(answering),
            self.result.payload.eq(answer),
        ]
        with m.If(asking):
            m.d.comb += [copy.read.en.eq(1), copy.read.addr.eq(self.read.payload)]
        m.d.sync += fresh.eq(asking)
        with m.If(fresh):
            m.d.sync += [answer.eq(copy.read.data), answering.eq(1)]
        with m.Elif(self.result.ready):
            m.d.sync += answering.eq(0)
