# amaranth: UnusedElaboratable=no
# (a component is made to be asked for its text)
"""A mapping unit behind its link, in the simulator: layers through its streams and pins, and boards that are others."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support.point_clouds import cube, distinct_points, map_by_hand

from zeroskip.cosim.mapping.program import job_bytes, move_bits
from zeroskip.fpga.host.host import BoardError, Host
from zeroskip.fpga.host.requests import Burst, read_request, run_request
from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
from zeroskip.fpga.mapping.layer import run_layer
from zeroskip.fpga.mapping.layouts import MapperSource, mapper_sizes, outcome_layout, read_layout
from zeroskip.fpga.mapping.linked import LinkedMapper
from zeroskip.fpga.simulation.boards import SimulatedBoard
from zeroskip.fpga.simulation.mapping import simulated_board
from zeroskip.model.mapping.cycles import map_cycles
from zeroskip.model.mapping.keys import shifts

GEOMETRY = LinkedMapperGeometry(width=4, words=128, index_bits=9, offsets=32, triple_words=256)
NARROW = LinkedMapperGeometry(width=1, dims=1, coordinate_bits=8, words=300, index_bits=9, offsets=8, triple_words=128)
CLOUD = distinct_points(GEOMETRY, 200, seed=1)


def board(geometry: LinkedMapperGeometry = GEOMETRY, *, carrier: str = "streams") -> SimulatedBoard:
    return simulated_board(geometry, carrier=carrier, clock=50e6)


@pytest.mark.parametrize("carrier", ["streams", "uart", "usb"])
def test_a_layer_through_the_link(carrier: str) -> None:
    """In more than one job, as 27 offsets can have more triples than find room; each job's cycles are the model's."""
    with board(carrier=carrier) as pipe:
        host = Host(pipe)
        assert host.connect()["clock"] == 50_000_000
        done = []
        run = run_layer(host, CLOUD, cube(3, 3), on_jobs=lambda *jobs: done.append(jobs))
        assert run.triples.tolist() == map_by_hand(CLOUD, CLOUD, cube(3, 3))
        assert (run.mismatches, run.cycle_model_equal, run.disordered, run.equal) == (0, True, False, True)
        parts = [len(part) for part in run.plan.maps]
        assert len(parts) > 2
        assert run.map_cycles == sum(map_cycles(GEOMETRY, len(CLOUD), len(CLOUD), part) for part in parts)
        assert done[-1] == (1 + len(parts), 1 + len(parts))
        assert (host.counts.retries, host.status().refused, host.status().idle) == (0, 0, True)


def test_other_layers_through_one_link() -> None:
    """Strided outputs, given outputs and none at all, one after the other: nothing of an earlier layer is left."""
    offsets = cube(3, 3)[::4]
    down = CLOUD.copy()
    down[:, 1:] = np.floor_divide(CLOUD[:, 1:], 2) * 2
    with board() as pipe:
        host = Host(pipe)
        host.connect()
        strided = run_layer(host, CLOUD[:150], offsets, strides=(2, 2, 2))
        points = np.unique(down[:150], axis=0)
        assert strided.equal
        assert strided.outputs.tolist() == points.tolist()
        assert strided.triples.tolist() == map_by_hand(points, CLOUD[:150], offsets)
        given = run_layer(host, CLOUD[:90], offsets, outputs=CLOUD[60:170])
        assert given.equal
        assert given.triples.tolist() == map_by_hand(CLOUD[60:170], CLOUD[:90], offsets)
        empty = run_layer(host, CLOUD[:0], offsets, outputs=CLOUD[:5])
        assert (empty.equal, empty.triples.tolist()) == (True, [])


def test_a_unit_of_one_key() -> None:
    """There is one key in a word, and one triple."""
    cloud = distinct_points(NARROW, 90, seed=2, spread=60)
    with board(NARROW) as pipe:
        host = Host(pipe)
        host.connect()
        run = run_layer(host, cloud, cube(3, 1))
        assert run.equal
        assert run.triples.tolist() == map_by_hand(cloud, cloud, cube(3, 1))


class Deaf:
    """A line that loses what the board sends, once, as soon as it has sent so many bytes."""

    def __init__(self, pipe: SimulatedBoard, after: int) -> None:
        self.name, self.patience = pipe.name, pipe.patience
        self._pipe, self._left = pipe, after

    def write(self, data: bytes) -> None:
        self._pipe.write(data)

    def read(self, timeout: float) -> bytes:
        come = self._pipe.read(timeout)
        before, self._left = self._left, self._left - len(come)
        return b"" if before > 0 >= self._left else come


@pytest.mark.parametrize("after", [600, 1500, 4000])
def test_what_the_line_loses_is_done_again(after: int) -> None:
    """Also a sort that has written over its own input."""
    with board() as pipe:
        host = Host(Deaf(pipe, after))
        host.connect()
        run = run_layer(host, CLOUD, cube(3, 3))
        assert host.counts.retries == 1
        assert run.triples.tolist() == map_by_hand(CLOUD, CLOUD, cube(3, 3))
        assert run.equal


def test_triples_that_find_no_room_are_told() -> None:
    """A list against itself has a triple of offset 0 for each key: 128 find room, the others are dropped, and the next
    job begins anew."""
    width = -(-(NARROW.key_bits + NARROW.index_bits) // 8)
    keys = b"".join((key << NARROW.index_bits | key).to_bytes(width, "little") for key in range(140))
    moves = np.packbits(move_bits(shifts(np.zeros((1, 1), int), NARROW), NARROW), axis=1, bitorder="little")
    loads = [
        Burst(target=0, address=0, width=width, words=keys),
        Burst(target=1, address=0, width=moves.shape[1], words=moves.tobytes()),
    ]
    layout = outcome_layout(NARROW)

    def job(host: Host, count: int) -> tuple[int, int, int]:
        fields = {"a_base": 0, "a_count": count, "b_base": 0, "b_count": count, "offsets": 1}
        requests = [request for load in loads for request in load.requests(host.longest)]
        requests.append(run_request(job_bytes(NARROW, fields)[::-1], 1000))
        number = MapperSource.OUTCOME.value << read_layout(NARROW)["source"].offset
        (answers,) = host.perform([[*requests, read_request(number, 1, mapper_sizes(NARROW).result_bytes)]])
        word = int.from_bytes(answers[-1], "little")
        found = {name: word >> field.offset & ((1 << field.width) - 1) for name, field in layout}
        return found["triples"], found["overflow"], found["disordered"]

    with board(NARROW) as pipe:
        host = Host(pipe)
        host.connect()
        assert job(host, 128) == (128, 0, 0)
        assert job(host, 140) == (128, 1, 0)
        assert job(host, 9) == (9, 0, 0)


class Unused:
    """A pipe of a host that sends nothing."""

    name = "the board"
    patience = 1.0

    def write(self, data: bytes) -> None:
        raise AssertionError("nothing must be sent")

    def read(self, timeout: float) -> bytes:
        raise AssertionError("nothing must be read")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"core": "eie"},
            r"^core of the board must be 'mapping', not 'eie': build a bitstream for the mapping unit and",
        ),
        ({"geometry": {"pes": 2}}, r"^geometry of the board must be that of a mapping unit, not \{'pes': 2\}: "),
        ({"geometry": None}, r"^geometry of the board must be that of a mapping unit, not None: "),
        ({"geometry": {"width": 3}}, r"^geometry of the board must be that .*: width must be a power of two, not 3"),
        ({"layout": "0123"}, r"^the board was built by another version of zeroskip, which lays memories out otherwise"),
    ],
)
def test_a_board_of_another_kind_is_refused(facts: dict[str, Any], message: str) -> None:
    """Before anything is loaded."""
    host = Host(Unused())
    host.facts = {**json.loads(LinkedMapper(GEOMETRY).text), **facts}
    with pytest.raises(BoardError, match=message):
        run_layer(host, CLOUD, cube(3, 3))


def test_points_that_do_not_fit_the_board_are_refused() -> None:
    """Before anything is loaded; 200 points and more take 51 words, twice."""
    host = Host(Unused())
    host.facts = json.loads(LinkedMapper(LinkedMapperGeometry(width=4, words=64, index_bits=9)).text)
    with pytest.raises(ValueError, match=r"words must be at least \d+ for these points, not 64: the lists of the"):
        run_layer(host, CLOUD, cube(3, 3))


def test_a_word_that_is_too_wide_for_the_link() -> None:
    """64 keys of 43 + 18 bits; 32 of them fit."""
    with pytest.raises(ValueError, match=r"must be at most 2,040, the widest word that the link takes, not 3,904: use"):
        LinkedMapperGeometry(width=64)
    assert mapper_sizes(LinkedMapperGeometry(width=32)).data == 32 * 61
