"""An array behind its link, in the simulator: networks through its streams and pins, and frames that are damaged."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from support import links
from support.links import contents, damage_of, frame, identify, read, run, status, write
from support.networks import random_inputs, random_network, small_conv_network

from zeroskip.cosim.eie.models import run_models
from zeroskip.cosim.verify import verify_in
from zeroskip.fpga.board import BoardSession
from zeroskip.fpga.eie.boot import boot_memory
from zeroskip.fpga.eie.bursts import input_burst, input_words, matrix_bursts, network_digest, table_bursts
from zeroskip.fpga.eie.driver import EieBoardDriver
from zeroskip.fpga.host.host import BoardError, Host
from zeroskip.fpga.host.requests import Request
from zeroskip.fpga.simulation.boards import SimulatedBoard
from zeroskip.fpga.simulation.carriers import BIT_CYCLES
from zeroskip.fpga.simulation.eie import simulated_board
from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.lay_out import relaid
from zeroskip.rtl.link.protocol import Command
from zeroskip.rtl.link.receiver import longest_content

CLOCK = 80e6


def small_network(seed: int = 0, **sizes: int) -> EieNetwork:
    geometry = EieGeometry(**{"pes": 2, **sizes})
    network = random_network(np.random.default_rng(seed), geometry, [40, 24, 10], 0.4)
    return dataclasses.replace(network, geometry=dataclasses.replace(network.geometry, entry_words=128))


def some_inputs(network: EieNetwork, images: int, seed: int = 1) -> NDArray[np.int16]:
    return random_inputs(np.random.default_rng(seed), images, network.layers[0].inputs, (0.5, 0.1, 1.0))


@pytest.mark.parametrize("carrier", ["streams", "uart", "usb"])
def test_a_network_through_the_link(carrier: str) -> None:
    network = small_network()
    inputs = some_inputs(network, 20)
    with simulated_board(network.geometry, carrier=carrier, clock=CLOCK) as board:
        host = Host(board)
        assert host.connect()["clock"] == 80_000_000
        driver = EieBoardDriver()
        assert driver.load(host, network)
        found = verify_in(BoardSession(host=host), driver, network, inputs, task="running")
        expected = golden.run(network, inputs)[-1].outputs
        assert np.array_equal(found.run.values, expected)
        assert (found.mismatches, found.values, found.cycle_model_equal) == (0, expected.size, True)
        assert (host.counts.retries, host.status().refused) == (0, 0)


def test_stages_of_the_host_and_convolutions() -> None:
    rng = np.random.default_rng(3)
    alone = small_conv_network(rng, EieGeometry(pes=4))
    network = relaid(alone, 4, positions=4)
    inputs = random_inputs(rng, 2, 3 * 9 * 8, (0.5, 1.0))
    with simulated_board(network.geometry, carrier="streams", clock=CLOCK) as board:
        host = Host(board)
        host.connect()
        driver = EieBoardDriver()
        driver.load(host, network)
        found = verify_in(BoardSession(host=host), driver, network, inputs, task="running")
        assert (found.mismatches, found.cycle_model_equal) == (0, True)
        assert np.array_equal(found.run.values, golden.run(alone, inputs)[-1].outputs)


class GoldenHost:
    """In place of a host: answers as a board would that computes like the golden model."""

    longest = 1000
    pipe = None

    def __init__(self, network: EieNetwork, inputs: NDArray[np.int16]) -> None:
        self._outputs = golden.run(network, inputs)[-1].outputs
        self._cycles = run_models(network, network.stages[0], inputs).cycles

    def perform(self, jobs: Iterable[list[Request]]) -> Iterator[list[bytes]]:
        for requests, outputs, cycles in zip(jobs, self._outputs, self._cycles, strict=True):
            results = outputs.astype("<i2")
            answers = {Command.WRITE: b"", Command.RUN: b"\0" + int(cycles).to_bytes(4, "little")}
            read = []
            for request in requests:
                if request.command == Command.READ:
                    count, address = struct.unpack("<HI", request.fields)
                    read.append(results[address : address + count].tobytes())
                else:
                    read.append(answers[request.command])
            yield read


def test_more_outputs_than_a_request_asks_for() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng, EieGeometry(pes=8), [3, 70_000], 0.3)
    inputs = random_inputs(rng, 2, 3, (1.0,))
    session = BoardSession(host=cast(Any, GoldenHost(network, inputs)))
    found = EieBoardDriver().run_stage(session, network, network.stages[0], inputs, lambda done: None)
    assert np.array_equal(found.outputs, golden.run(network, inputs)[-1].outputs)


@pytest.mark.parametrize(("field", "value"), [("queue_depth", 4), ("entry_words", 64), ("pes", 4)])
def test_a_board_of_another_geometry_is_refused(field: str, value: int) -> None:
    """Before anything is loaded; the message names the field."""
    network = small_network()
    other = dataclasses.replace(network.geometry, **{field: value, "activation_rows": 64})
    same = dataclasses.replace(network, geometry=dataclasses.replace(network.geometry, activation_rows=64))
    facts = _facts(other)
    with pytest.raises(
        BoardError, match=f"{field} must be {getattr(same.geometry, field)}, not {value}: run the .zs file "
    ):
        _load(facts, same)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"core": "mma"}, r"^core of the board must be 'eie', not 'mma': build a bitstream"),
        (
            {"geometry": {"pes": 2}},
            r"^geometry of the board must have the fields pes, index_bits, .*, not \{'pes': 2\}",
        ),
        (
            {"layout": "0123"},
            r"^the board was built by another version of zeroskip, which lays memories out otherwise: build",
        ),
    ],
)
def test_a_board_of_another_kind_is_refused(facts: dict[str, object], message: str) -> None:
    network = small_network()
    with pytest.raises(BoardError, match=message):
        _load({**_facts(network.geometry), **facts}, network)


class Unused:
    """A pipe of a host that sends nothing."""

    name = "the board"
    patience = 1.0

    def write(self, data: bytes) -> None:
        raise AssertionError("nothing must be sent")

    def read(self, timeout: float) -> bytes:
        raise AssertionError("nothing must be read")


def _load(facts: dict[str, object], network: EieNetwork) -> bool:
    host = Host(Unused())
    host.facts = facts
    return EieBoardDriver().load(host, network)


def _facts(geometry: EieGeometry) -> dict[str, object]:
    import json

    return dict(json.loads(boot_memory(geometry, buffer=4096, clock=None).text))


def test_the_boot_memory_loads_the_tables() -> None:
    """With the matrices over the link, and the tables from the boot memory alone, the network runs."""
    network = small_network()
    boot = boot_memory(network.geometry, network, buffer=4096, clock=None)
    assert len(boot.contents) == len(boot_memory(network.geometry, buffer=4096, clock=None).contents)
    inputs = some_inputs(network, 4)
    with simulated_board(network.geometry, network=network, carrier="streams", clock=CLOCK) as board:
        host = Host(board)
        assert host.connect()["network"] == network_digest(network)
        driver = EieBoardDriver()
        assert not driver.load(host, network)
        bursts = matrix_bursts(network)
        list(host.perform([request] for burst in bursts for request in burst.requests(host.longest)))
        found = verify_in(BoardSession(host=host), driver, network, inputs, task="running")
        assert (found.mismatches, found.cycle_model_equal) == (0, True)


def test_large_tables_come_in_records_whose_length_can_be_told() -> None:
    """A codebook of 256 values for each of 64 layers has 32 KB; bit 15 of a record's length means a refusal."""
    geometry = EieGeometry(pes=2, code_bits=8)
    network = random_network(np.random.default_rng(0), geometry, [8] * 65, 0.3)
    assert network.geometry.layers == 64
    boot = boot_memory(network.geometry, network, buffer=4096, clock=None)
    assert len(boot.contents) == len(boot_memory(network.geometry, buffer=4096, clock=None).contents)
    held, codebooks = boot.records, {}
    while (length := int.from_bytes(held[:2], "little")) != 0:
        assert length < 1 << 15
        command, _, _, target, address = struct.unpack_from("<BBBHI", held, 2)
        assert command == links.WRITE
        if target == 2:
            words = np.frombuffer(held[11 : 2 + length], "<i2")
            codebooks.update(enumerate(words.tolist(), address))
        held = held[2 + length :]
    assert held.strip(b"\0") == b""
    values = np.zeros(64 * 256, np.int16)
    values[list(codebooks)] = list(codebooks.values())
    assert np.array_equal(values.reshape(64, 256), network.codebooks)


def test_a_network_that_was_overwritten_is_loaded_again() -> None:
    """The board still says that it is in the bitstream. Inputs overwrite nothing of it."""
    network, other = small_network(), small_network(seed=5)
    with simulated_board(network.geometry, network=network, carrier="streams", clock=CLOCK) as board:
        host, driver = Host(board), EieBoardDriver()
        host.connect()
        list(host.perform(_image(network, host)))
        assert not driver.load(host, network)
        assert driver.load(host, other)
        assert driver.load(host, network)
        inputs = some_inputs(network, 4)
        found = verify_in(BoardSession(host=host), driver, network, inputs, task="running")
        assert (found.mismatches, found.cycle_model_equal) == (0, True)


def _image(network: EieNetwork, host: Host) -> list[list[Request]]:
    """A job: inputs of zero."""
    words = input_words(network.geometry, np.zeros((1, network.layers[0].inputs), np.int16))
    return [[*input_burst(network.geometry, words[0]).requests(host.longest)]]


def test_the_serial_line_is_used_to_nine_tenths_in_both_directions() -> None:
    """Inputs go in and results come out at the same time. Only their bytes count, without heads and checksums."""
    geometry = EieGeometry(pes=2, entry_words=16, pointers=64, activation_rows=512, layers=1)
    words = 1000
    sent = frame(identify(0))
    for number in range(1, 13, 2):
        # 1,000 results of two bytes, and 250 words of two inputs of two bytes at a time.
        sent += frame(read(number, 0, words))
        sent += frame(write(number + 1, 4, 0, 4, *range(words // 2)))
    with simulated_board(geometry, carrier="uart", clock=CLOCK) as board:
        board.write(frame(identify(0)) + frame(write(1, 4, 0, 4, *range(512))))
        board.read(1e-3)
        before = board.cycles
        board.write(sent)
        answers = contents(board.read(1e-3))
        cycles = board.cycles - before
    assert [one[0] for one in answers] == [1] + 6 * [3, 2]
    payload = 6 * 2 * words
    assert all(len(one) == 2 + 2 * words for one in answers[1::2])
    assert payload * 10 * BIT_CYCLES / cycles > 0.9


class FuzzedBoard:
    """A simulated array with a network, to which damaged frames are sent. Its inputs lie in the array all the time, and
    none is zero: a run reads every pointer, entry and input."""

    def __init__(self, board: SimulatedBoard, network: EieNetwork) -> None:
        self.board = board
        self.network = network
        self.inputs = random_inputs(np.random.default_rng(1), 1, network.layers[0].inputs, (1.0,))
        assert self.inputs.all()
        self.expected = golden.run(network, self.inputs)[-1].outputs[0]
        self.number = 0
        self.longest = longest_content(4096)

    def load(self) -> None:
        host = Host(self.board)
        host.connect()
        EieBoardDriver().load(host, self.network)
        self.board.write(frame(identify(0)) + frame(self.input_write(1)))
        self.board.read(0.01)

    def input_write(self, number: int) -> bytes:
        words = input_words(self.network.geometry, self.inputs)[0].tobytes()
        values = [int.from_bytes(words[at : at + 4], "little") for at in range(0, len(words), 4)]
        return write(number, 4, 0, 4, *values)

    def next(self) -> int:
        self.number = (self.number + 1) % 256
        return self.number

    def writes(self) -> list[bytes]:
        """Whole frames that write to each memory that the network uses, all with the same number."""
        return [
            write(self.number, 0, 0, 8, 0x1122334455667788),
            write(self.number, 1, 1, 1, 77),
            write(self.number, 2, 1, 2, 999),
            write(self.number, 3, 0, 4, 12345),
            write(self.number, 4, 0, 4, 0x7FFF7FFF),
        ]

    def send(self, damaged: Iterable[bytes]) -> int:
        """Sends each, and asks after each whether the board is there, all without waiting. Each answer must be the one
        that follows from the bytes alone. Returns how many frames were damaged."""
        self.number = 0
        stream, wanted = frame(identify(0)), [bytes([1, 0])]
        for wrong in damaged:
            # A zero ends what has lost its own.
            part = wrong + b"\0" + frame(status(self.next()))
            expected = self.number
            for stuffed in filter(None, part.split(b"\0")):
                error = damage_of(stuffed, self.longest)
                assert error is not None or stuffed == frame(status(expected))[:-1], "the damage cannot be seen"
                wanted.append(bytes([5, expected]) if error is None else links.refused(0, error, expected))
            stream += part
        self.board.write(stream)
        answers = contents(self.board.read(0.01))
        # Of answers to STATUS, command and number.
        assert [one if one[0] == links.REFUSED else one[:2] for one in answers] == wanted
        return sum(one[0] == links.REFUSED for one in wanted)

    def check(self) -> None:
        """The network gives what it gave, for the inputs that were written before the frames. Then they are written
        again, since a run overwrites them."""
        outputs = self.network.layers[-1].outputs
        self.board.write(
            frame(identify(0)) + frame(run(1, b"\0")) + frame(read(2, 0, outputs)) + frame(self.input_write(3))
        )
        answers = contents(self.board.read(0.01))
        assert answers[1][0] == links.RUN
        assert np.array_equal(np.frombuffer(answers[2][2:], "<i2"), self.expected)
        assert answers[3][0] == links.WRITE


def flips(whole: bytes) -> list[bytes]:
    """Each bit of a frame flipped, those of its delimiter too."""
    return [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in range(8)
    ]


def cuts(whole: bytes) -> list[bytes]:
    """A frame that ends after each byte, that begins after each, and that lacks each."""
    places = range(1, len(whole) - 1)
    return [
        *(whole[:at] for at in places),
        *(whole[at:] for at in places),
        *(whole[:at] + whole[at + 1 :] for at in places),
    ]


def noise(random: Random) -> bytes:
    """Random bytes, or a frame of random content with a wrong checksum, or one that is too long."""
    kind = random.randrange(8)
    if kind < 5:
        return random.randbytes(random.randrange(1, 60))
    content = bytes([random.randrange(1, 6)]) + random.randbytes(random.randrange(0, 40))
    return links.cobs.encode(content + random.randbytes(4)) + b"\0" if kind < 7 else random.randbytes(2500)


def fuzzed(count: int) -> None:
    """At least `count` frames: every cut and every bit flip of writes to each memory, then noise."""
    network = small_network()
    random = Random(count)
    damaged = 0
    with simulated_board(network.geometry, carrier="streams", clock=CLOCK) as board:
        fuzz = FuzzedBoard(board, network)
        fuzz.load()
        fuzz.check()
        fuzz.check()
        fuzz.number = 1
        wrongs = [one for whole in map(frame, fuzz.writes()) for one in [*cuts(whole), *flips(whole)]]
        while damaged < count:
            # As many at once as there are numbers.
            batch, wrongs = wrongs[:200], wrongs[200:]
            damaged += fuzz.send(batch or [noise(random) for _ in range(200)])
            fuzz.check()


def test_ten_thousand_damaged_frames_change_nothing() -> None:
    fuzzed(10_000)


def test_a_change_of_each_memory_is_noticed() -> None:
    """Each of the writes that are damaged above, whole: the check after it fails, and once the memories are loaded
    again, it does not."""
    network = small_network()
    with simulated_board(network.geometry, carrier="streams", clock=CLOCK) as board:
        fuzz = FuzzedBoard(board, network)
        fuzz.number = 1
        for written in fuzz.writes():
            fuzz.load()
            fuzz.check()
            board.write(frame(identify(0)) + frame(written))
            assert contents(board.read(0.01))[1][0] == links.WRITE
            with pytest.raises(AssertionError):
                fuzz.check()


def test_tables_and_matrices_are_bursts_of_following_addresses() -> None:
    """A memory of a PE is one burst: each word as wide as its memory needs."""
    network = small_network()
    bursts = [(burst.target & 7, burst.target >> 3, burst.address, burst.width) for burst in matrix_bursts(network)]
    pointer_bytes = -(-network.geometry.pointer_bits // 8)
    assert bursts == [(0, 0, 0, 8), (0, 1, 0, 8), (1, 0, 0, pointer_bytes), (1, 1, 0, pointer_bytes)]
    assert [(burst.target & 7, burst.address) for burst in table_bursts(network)] == [(2, 0), (3, 0)]
