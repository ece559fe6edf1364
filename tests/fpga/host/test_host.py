"""The host against a board in software, over lines that are good, bad and dead."""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Iterator
from random import Random

import pytest
from support import links
from support.boards import FACTS, AdderBoard, BoardPipe, bad_line

from zeroskip.fpga.host.host import ATTEMPTS, JOB_ATTEMPTS, BoardError, Host
from zeroskip.fpga.host.pipe import LineLost
from zeroskip.fpga.host.requests import Burst, Request, read_request, read_requests, run_request
from zeroskip.fpga.host.serial_port import SerialPipe
from zeroskip.rtl.link.protocol import Command


def sums(inputs: list[list[int]]) -> Iterator[list[Request]]:
    """A job for each list: loads it, adds it up, and reads the sum."""
    for values in inputs:
        words = b"".join(value.to_bytes(4, "little") for value in values)
        burst = Burst(target=0, address=0, width=4, words=words)
        yield [*burst.requests(60), run_request(b"\0", 100), read_request(0, 1, 4)]


def some_inputs(count: int, seed: int = 0) -> list[list[int]]:
    random = Random(seed)
    return [[random.randrange(1 << 20) for _ in range(16)] for _ in range(count)]


def host_sums(host: Host, inputs: list[list[int]]) -> list[int]:
    host.connect()
    return [int.from_bytes(answers[-1], "little") for answers in host.perform(sums(inputs))]


def test_performs_jobs_in_order() -> None:
    inputs = some_inputs(50)
    pipe = BoardPipe(AdderBoard())
    host = Host(pipe)
    assert host_sums(host, inputs) == [sum(values) for values in inputs]
    assert host.facts == FACTS
    assert (host.counts.retries, pipe.board.runs) == (0, 50)


def test_requests_fly_together_as_far_as_the_buffer_goes() -> None:
    """More than one frame of 60 bytes, but never more than the 128 bytes of the board's buffer."""
    pipe = BoardPipe(AdderBoard())
    host = Host(pipe)
    host_sums(host, some_inputs(20))
    assert 80 < pipe.most_waiting <= 128


def test_a_burst_is_cut_into_frames_of_whole_words() -> None:
    burst = Burst(target=3, address=100, width=6, words=bytes(range(120)))
    first, second, third = burst.requests(60)
    assert (len(first.content(0)), first.fields[:7].hex()) == (57, "06030064000000")
    assert second.fields[:7].hex() == "0603006c000000"
    assert first.fields[7:] + second.fields[7:] + third.fields[7:] == burst.words


@pytest.mark.parametrize("seed", range(4))
def test_what_a_bad_line_damages_is_sent_again(seed: int) -> None:
    """One byte in 1,000 is wrong, both ways: a job whose run is done twice must load its inputs twice."""
    inputs = some_inputs(150, seed)
    pipe = BoardPipe(AdderBoard(), out=bad_line(seed, 1e-3), back=bad_line(seed + 100, 1e-3))
    host = Host(pipe)
    assert host_sums(host, inputs) == [sum(values) for values in inputs]
    assert host.counts.retries > 5


def test_a_lost_answer_repeats_the_job() -> None:
    """The board has run, but the host does not know it."""
    inputs = some_inputs(6)
    lost = iter([False] * 3 + [True] + [False] * 100)
    board = AdderBoard()
    host = Host(BoardPipe(board, back=lambda data: b"" if next(lost) else data))
    assert host_sums(host, inputs) == [sum(values) for values in inputs]
    assert board.runs > 6


def test_numbers_go_round_many_times() -> None:
    host = Host(BoardPipe(AdderBoard()))
    host.connect()
    answers = list(host.perform([[Request(command=Command.STATUS)]] * 1000))
    assert len(answers) == 1000
    assert host.counts.retries == 0


def test_a_line_without_a_board_is_an_error() -> None:
    tried = []

    class Silence(BoardPipe):
        def write(self, data: bytes) -> None:
            tried.append(data)

    with pytest.raises(
        LineLost, match=r"^the board did not answer within 1 s: is the board connected and powered, and"
    ):
        Host(Silence(AdderBoard())).connect()
    assert len(tried) == ATTEMPTS


def test_a_line_that_dies_is_an_error() -> None:
    left = iter([True] * 10 + [False] * 1000)
    host = Host(BoardPipe(AdderBoard(), out=lambda data: data if next(left) else b""))
    with pytest.raises(LineLost, match="did not answer within 1 s"):
        host_sums(host, some_inputs(50))


@pytest.mark.parametrize("noise", [b"\x55", b"\x55\0", b"\0", b"\x02\x05\0"])
def test_a_line_that_carries_noise_is_an_error(noise: bytes) -> None:
    """However much of it, and whether or not it looks like frames."""

    class Noise(BoardPipe):
        def read(self, timeout: float) -> bytes:
            return noise * 1000

    with pytest.raises(LineLost, match=r"^the board sends noise: is the baud rate right\?$"):
        Host(Noise(AdderBoard())).connect()


def test_a_line_that_chatters_slowly_is_an_error_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPS receiver, twice a second: after five times the patience of one second, in each attempt."""
    clock = [0.0]
    monkeypatch.setattr("zeroskip.fpga.host.host.time.monotonic", lambda: clock[0])

    class Chatter(BoardPipe):
        def read(self, timeout: float) -> bytes:
            clock[0] += 0.5
            return b"$GPGGA,1,2,3\r\n"

    with pytest.raises(LineLost, match=r"^the board sends noise: is the baud rate right\?$"):
        Host(Chatter(AdderBoard())).connect()
    assert clock[0] <= 5.5 * ATTEMPTS


def test_a_line_that_turns_into_noise_is_an_error() -> None:
    good = iter([True] * 10)
    host = Host(BoardPipe(AdderBoard(), back=lambda data: data if next(good, False) else b"\x37" * len(data)))
    with pytest.raises(LineLost):
        host_sums(host, some_inputs(50))


class Spoils(AdderBoard):
    """Refuses each READ as damaged, though all before it gets through; its bytes come a few at a time."""

    tried = 0

    def _answer(self, stuffed: bytes) -> bytes:
        content = super()._answer(stuffed)
        if content[0] != links.READ:
            return content
        self.tried += 1
        assert self.tried < 1000
        return links.refused(0, links.CRC, 0)


class SlowPipe(BoardPipe):
    def read(self, timeout: float) -> bytes:
        come, self._waiting = self._waiting[:16], self._waiting[16:]
        return come


def test_a_job_that_never_gets_through_is_an_error() -> None:
    """Its first requests are obeyed each time."""
    board = Spoils({**FACTS, "buffer": 256})
    host = Host(SlowPipe(board))
    with pytest.raises(LineLost, match="received damaged frames: CRC"):
        host_sums(host, some_inputs(1))
    assert board.tried == host.counts.retries == JOB_ATTEMPTS


def test_results_beyond_one_count_are_asked_for_in_parts() -> None:
    """The field of the count has two bytes."""
    fields = [struct.unpack("<HI", request.fields) for request in read_requests(140_000, 2)]
    assert fields == [(65_535, 0), (65_535, 65_535), (8_930, 131_070)]
    assert [request.results for request in read_requests(140_000, 2)] == [131_070, 131_070, 17_860]


def test_only_the_last_jobs_that_were_begun_go_on() -> None:
    host = Host(BoardPipe(AdderBoard()))
    host.connect()
    first = host.perform(sums(some_inputs(3)))
    next(first)
    later = some_inputs(3, seed=1)
    assert [int.from_bytes(one[-1], "little") for one in host.perform(sums(later))] == [sum(one) for one in later]
    with pytest.raises(RuntimeError, match=r"^perform must come to its end before the next one begins"):
        next(first)


def test_requests_before_the_board_was_asked_who_it_is_are_an_error() -> None:
    host = Host(BoardPipe(AdderBoard()))
    for ask in (host.status, lambda: host.longest):
        with pytest.raises(BoardError, match=r"^connect must come before requests to the board$"):
            ask()


def test_a_request_longer_than_the_board_takes_is_an_error() -> None:
    host = Host(BoardPipe(AdderBoard()))
    host.connect()
    burst = Burst(target=0, address=0, width=100, words=bytes(100))
    with pytest.raises(BoardError, match=r"^a request for the board must have at most 60 bytes, not 109: build its"):
        list(host.perform([list(burst.requests(host.longest))]))


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("buffer", None, "at least 22"),
        ("buffer", 16, "at least 22"),
        ("buffer", 64, None),
        ("longest", "60", "at least 10"),
        ("longest", True, "at least 10"),
        ("clock", "fast", "a frequency of 1 to 10,000,000,000 Hz, or null"),
        ("clock", float("nan"), "a frequency of 1 to 10,000,000,000 Hz, or null"),
        ("clock", 1e-300, "a frequency of 1 to 10,000,000,000 Hz, or null"),
        ("clock", 10**400, "a frequency of 1 to 10,000,000,000 Hz, or null"),
        ("clock", -5, "a frequency of 1 to 10,000,000,000 Hz, or null"),
    ],
)
def test_a_board_that_says_what_cannot_be_is_refused(field: str, value: object, rule: str | None) -> None:
    message = f"{field} of the board must be {rule}, not {value!r}"
    if rule is None:
        message = "longest of the board must be at most the buffer of 64 without 22, not 60"
    with pytest.raises(BoardError, match=f"^{re.escape(message)}$"):
        Host(BoardPipe(AdderBoard({**FACTS, field: value}))).connect()


@pytest.mark.parametrize("field", ["buffer", "longest"])
def test_a_board_that_does_not_say_its_sizes_is_refused(field: str) -> None:
    facts = {name: value for name, value in FACTS.items() if name != field}
    with pytest.raises(BoardError, match=f"^{field} of the board must be at least .*, not None$"):
        Host(BoardPipe(AdderBoard(facts))).connect()


class Answers(AdderBoard):
    """Answers a command by something else."""

    def __init__(self, command: int, answer: bytes) -> None:
        super().__init__()
        self._instead = {command: answer}

    def _answer(self, stuffed: bytes) -> bytes:
        content = super()._answer(stuffed)
        return content[:2] + self._instead.get(content[0], content[2:])


def test_text_that_is_nested_too_deeply_is_an_error() -> None:
    with pytest.raises(BoardError, match=r"^the board does not say who it is: "):
        Host(BoardPipe(Answers(links.IDENTIFY, b"[" * 100_000))).connect()


@pytest.mark.parametrize(("command", "answer"), [(links.STATUS, b"\1\0\0"), (links.STATUS, b""), (links.RUN, b"\0")])
def test_an_answer_of_another_length_is_an_error(command: int, answer: bytes) -> None:
    host = Host(BoardPipe(Answers(command, answer)))
    host.connect()
    name, size = {links.STATUS: ("STATUS", 7), links.RUN: ("RUN", 5)}[command]
    message = f"^the board must answer {name} by {size} bytes, not {len(answer)}: build and flash its bitstream"
    with pytest.raises(BoardError, match=message):
        list(host.perform([[Request(command=Command(command), fields=bytes(5))]]))


@pytest.mark.parametrize("answer", [b"", b"\0\0\0", bytes(8)])
def test_results_of_another_length_are_an_error(answer: bytes) -> None:
    host = Host(BoardPipe(Answers(links.READ, answer)))
    with pytest.raises(BoardError, match=f"^the board must answer READ by 4 bytes, not {len(answer)}: build and flash"):
        host_sums(host, some_inputs(1))


def test_a_run_without_cycles_is_an_error() -> None:
    host = Host(BoardPipe(Answers(links.RUN, bytes(5))))
    message = "cycles of a run on the board must be at least 1, not 0: flash the board again"
    with pytest.raises(BoardError, match=f"^{message}$"):
        host_sums(host, some_inputs(1))


def test_another_protocol_is_refused() -> None:
    host = Host(BoardPipe(AdderBoard({**FACTS, "protocol": 2})))
    message = "the board must speak version 1 of the protocol, not 2: build and flash its bitstream with this zeroskip"
    with pytest.raises(BoardError, match=f"^{re.escape(message)}$"):
        host.connect()


def test_a_request_that_the_board_does_not_take_is_an_error() -> None:
    class Refuses(AdderBoard):
        def _answer(self, stuffed: bytes) -> bytes:
            content = super()._answer(stuffed)
            return links.refused(content[1], links.FIELD, content[1]) if content[0] == links.READ else content

    host = Host(BoardPipe(Refuses()))
    with pytest.raises(BoardError, match=r"^the board refuses READ: FIELD$"):
        host_sums(host, some_inputs(1))


def test_a_run_that_does_not_end_is_an_error() -> None:
    class Hangs(AdderBoard):
        def _answer(self, stuffed: bytes) -> bytes:
            content = super()._answer(stuffed)
            return links.refused(content[1], links.LIMIT, content[1]) if content[0] == links.RUN else content

    host = Host(BoardPipe(Hangs()))
    with pytest.raises(
        BoardError, match=r"did not come to the end of a run \(LIMIT\): switch it off and on, or flash it again$"
    ):
        host_sums(host, some_inputs(1))


def test_a_status() -> None:
    host = Host(BoardPipe(AdderBoard()))
    host_sums(host, some_inputs(1))
    status = host.status()
    assert (status.idle, status.cycles, status.refused) == (True, 16, 0)


class Terminal:
    """A board at the other end of a pseudo-terminal, until `stop`."""

    def __init__(self, board: AdderBoard) -> None:
        self._master, self._slave = os.openpty()
        self.port = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve, args=[board], daemon=True)
        self._thread.start()

    def _serve(self, board: AdderBoard) -> None:
        try:
            while data := os.read(self._master, 4096):
                os.write(self._master, board.feed(data))
        except OSError:
            # The other end was closed.
            pass

    def stop(self) -> None:
        os.close(self._slave)
        self._thread.join(timeout=10)
        os.close(self._master)


def test_a_serial_port() -> None:
    terminal = Terminal(AdderBoard())
    inputs = some_inputs(30)
    with SerialPipe(terminal.port, baud=115_200) as pipe:
        host = Host(pipe)
        assert host_sums(host, inputs) == [sum(values) for values in inputs]
    terminal.stop()


def test_a_serial_port_that_is_not_there_is_an_error() -> None:
    message = "port must be a serial port that can be opened with 115200 baud, not /dev/ttyNONE: "
    with pytest.raises(LineLost, match=f"^{re.escape(message)}"), SerialPipe("/dev/ttyNONE", baud=115_200):
        pass


def test_a_serial_port_that_takes_no_more_bytes_is_an_error() -> None:
    """Nobody reads at the other end, and the system's buffer is full."""
    master, slave = os.openpty()
    with SerialPipe(os.ttyname(slave), baud=3_000_000) as pipe:
        lost: list[LineLost] = []

        def write() -> None:
            try:
                pipe.write(bytes(1 << 18))
            except LineLost as error:
                lost.append(error)

        writing = threading.Thread(target=write, daemon=True)
        writing.start()
        writing.join(timeout=20)
        assert [str(error) for error in lost] == [f"the line to {pipe.name} was lost: Write timeout"]
    os.close(master)
    os.close(slave)


def test_a_serial_port_that_is_pulled_out_is_an_error() -> None:
    """As with a USB adapter: the next use of the port fails."""
    terminal = Terminal(AdderBoard())
    with SerialPipe(terminal.port, baud=115_200) as pipe:
        host = Host(pipe)
        host.connect()
        os.close(terminal._master)
        with pytest.raises(LineLost, match=f"^the line to {terminal.port} was lost: |did not answer"):
            host_sums(host, some_inputs(30))
    os.close(terminal._slave)
