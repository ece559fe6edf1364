"""The host's end of the link: requests in flight, retries, and what a board says of itself."""

from __future__ import annotations

import json
import math
import struct
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from zeroskip.fpga.host.frames import content_of, frame
from zeroskip.fpga.host.pipe import LineLost, Pipe
from zeroskip.fpga.host.requests import Request
from zeroskip.rtl.link.protocol import (
    ANSWERS,
    CRC_BYTES,
    FIELDS,
    HEAD,
    NUMBERS,
    PROTOCOL,
    RECORD_HEAD,
    REFUSED,
    Command,
    LinkError,
)

ATTEMPTS = 4
"""How often the host asks a board who it is before it gives up."""

JOB_ATTEMPTS = 12
"""How often the host begins a job before it gives up. On a line that damages a job in three of ten, one job in two
million gets through in none of them."""

MOST_IN_FLIGHT = 64
"""Requests that wait for answers: fewer than the numbers, so that an answer belongs to one request."""

MOST_NOISE = 1 << 20
"""Bytes without a frame, or without the expected one, after which a line carries noise."""

NOISY = 5
"""So many times a board's patience after which a line that carries something, but no answer, carries noise: what
chatters slowly, such as a GPS receiver, would take hours to send MOST_NOISE bytes."""

SPARE = 16
"""Bytes of a board's buffer that are never counted on."""

LEAST = {"longest": HEAD + FIELDS[Command.WRITE] + 1, "buffer": RECORD_HEAD + CRC_BYTES + SPARE}
"""The least that a board may say of itself. Its buffer must hold the longest request besides."""

MOST_HZ = 10**10
"""The highest clock that a board may say it has: what is above is no frequency."""

TRANSIENT = (LinkError.CRC, LinkError.CUT, LinkError.SHORT, LinkError.LONG, LinkError.LINE, LinkError.NUMBER)
"""Errors of the line: the same request may succeed when it is sent again."""


class BoardError(RuntimeError):
    """A board that refuses a request, or is not the one that is needed."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """A board's state. `changed`: a host has written weights since the FPGA was configured, and what was inside the
    bitstream is no longer there. `cycles` are those of the last run, `refused` the frames that it refused since its
    reset, modulo 65,536."""

    idle: bool
    changed: bool
    cycles: int
    refused: int


@dataclass(frozen=True, kw_only=True)
class LineCounts:
    """Bytes that went over the line, in each direction, and how often the host began again."""

    sent: int
    received: int
    retries: int


@dataclass(eq=False)
class _Job:
    requests: Sequence[Request]
    answers: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Flying:
    job: _Job
    request: Request
    number: int
    size: int


class Host:
    """Talks to a board over a pipe. `connect` must come first.

    Requests go out before earlier ones are answered, as many as the board's buffer holds. Where a frame is damaged or
    an answer does not come, the host asks the board again who it is, which makes it take requests from a new number on,
    and repeats every job that is not complete from its beginning.
    """

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.facts: dict[str, Any] = {}
        """What the board says of itself."""
        self._number = 0
        self._turn = 0
        self._come = b""
        self._sent = self._received = self._retries = 0

    @property
    def counts(self) -> LineCounts:
        return LineCounts(sent=self._sent, received=self._received, retries=self._retries)

    @property
    def longest(self) -> int:
        """The most bytes of a request. Raises BoardError before `connect`."""
        return int(self._fact("longest"))

    def connect(self) -> dict[str, Any]:
        """Asks the board who it is, and returns `facts`.

        Raises LineLost where nobody answers, and BoardError where what answers speaks another protocol.
        """
        self._begin_again()
        return self.facts

    def status(self) -> Status:
        """Raises LineLost and BoardError."""
        (answers,) = self.perform([[Request(command=Command.STATUS)]])
        state, cycles, refused = struct.unpack("<BIH", answers[0])
        return Status(idle=bool(state & 1), changed=bool(state & 2), cycles=cycles, refused=refused)

    def perform(self, jobs: Iterable[Sequence[Request]]) -> Iterator[list[bytes]]:
        """Performs jobs, and yields the answers of each, without command and number, in order.

        A job is a sequence of requests that may be repeated from its beginning after any part of it, and of later jobs,
        was obeyed. Only the `perform` that began last may go on: a later one takes the answers of an earlier one.

        Raises LineLost, BoardError where the board refuses a request for another reason than the line, and RuntimeError
        where a later `perform` has begun.
        """
        self._turn += 1
        turn = self._turn
        source = iter(jobs)
        open_jobs: deque[_Job] = deque()
        waiting: deque[tuple[_Job, Request]] = deque()
        flying: deque[_Flying] = deque()
        failures = 0
        while True:
            exhausted = self._fill(source, open_jobs, waiting, flying)
            if not open_jobs and exhausted:
                return
            error = self._take_answers(flying)
            while open_jobs and len(open_jobs[0].answers) == len(open_jobs[0].requests):
                failures = 0
                yield open_jobs.popleft().answers
                if self._turn != turn:
                    raise RuntimeError("perform must come to its end before the next one begins: a later one has begun")
            if error is not None:
                failures += 1
                self._retries += 1
                if failures >= JOB_ATTEMPTS:
                    raise error
                self._begin_again()
                flying.clear()
                waiting.clear()
                for job in open_jobs:
                    job.answers.clear()
                    waiting.extend((job, request) for request in job.requests)

    def _fill(
        self,
        source: Iterator[Sequence[Request]],
        open_jobs: deque[_Job],
        waiting: deque[tuple[_Job, Request]],
        flying: deque[_Flying],
    ) -> bool:
        """Sends what finds room in the board's buffer. Returns whether all jobs of `source` were begun."""
        out = []
        exhausted = False
        room = int(self._fact("buffer")) - SPARE - sum(one.size for one in flying)
        while len(flying) < MOST_IN_FLIGHT:
            if not waiting:
                requests = next(source, None)
                if requests is None:
                    exhausted = True
                    break
                job = _Job(requests)
                open_jobs.append(job)
                waiting.extend((job, request) for request in requests)
                continue
            job, request = waiting[0]
            content = request.content(self._number)
            if len(content) > self.longest:
                raise BoardError(
                    f"a request for {self.pipe.name} must have at most {self.longest} bytes, not {len(content)}: build "
                    "its bitstream with a larger buffer"
                )
            size = RECORD_HEAD + len(content) + CRC_BYTES
            if size > room:
                break
            waiting.popleft()
            room -= size
            flying.append(_Flying(job=job, request=request, number=self._number, size=size))
            self._number = (self._number + 1) % NUMBERS
            out.append(frame(content))
        if out:
            self._write(b"".join(out))
        return exhausted

    def _take_answers(self, flying: deque[_Flying]) -> Exception | None:
        """Waits for an answer, and takes all that have come. Returns what is wrong with the line."""
        cycles = sum(one.request.cycles for one in flying)
        contents = self._contents(self.pipe.patience + cycles / self._clock)
        if not contents:
            return self._silence()
        for content in contents:
            if content is None:
                return LineLost(f"{self.pipe.name} sends damaged frames: is the baud rate right?")
            if content[0] == REFUSED and len(content) == HEAD + 2:
                error = self._refusal(content, flying)
                if error is not None:
                    return error
            if not flying or content[:HEAD] != bytes([flying[0].request.command, flying[0].number]):
                return LineLost(f"{self.pipe.name} lost an answer")
            done = flying.popleft()
            answer = content[HEAD:]
            needed = ANSWERS.get(done.request.command, done.request.results)
            if len(answer) != needed:
                raise BoardError(
                    f"{self.pipe.name} must answer {done.request.command.name} by {needed} bytes, not {len(answer)}: "
                    "build and flash its bitstream with this zeroskip"
                )
            if done.request.command == Command.RUN and not any(answer[1:]):
                raise BoardError(
                    f"cycles of a run on {self.pipe.name} must be at least 1, not 0: flash the board again"
                )
            done.job.answers.append(answer)
        return None

    def _refusal(self, content: bytes, flying: deque[_Flying]) -> Exception:
        """The error of the line that a refusal tells. Raises BoardError where it is none."""
        _, number, code, _ = content
        known = code in [error.value for error in LinkError]
        name = LinkError(code).name if known else str(code)
        if known and LinkError(code) in TRANSIENT:
            return LineLost(f"{self.pipe.name} received damaged frames: {name}")
        request = next((one.request for one in flying if one.number == number), None)
        what = "a request" if request is None else request.command.name
        if known and LinkError(code) in (LinkError.LIMIT, LinkError.BUSY):
            raise BoardError(
                f"the core of {self.pipe.name} did not come to the end of a run ({name}): switch it off and "
                "on, or flash it again"
            )
        raise BoardError(f"{self.pipe.name} refuses {what}: {name}")

    @property
    def _clock(self) -> float:
        """Cycles that pass in a second at least."""
        return float(self.facts.get("clock") or 1e6)

    def _begin_again(self) -> None:
        """Makes the board take requests from a new number on, and forgets all earlier answers."""
        problem = LineLost(f"{self.pipe.name} sends noise: is the baud rate right?")
        for _ in range(ATTEMPTS):
            number = self._number
            self._number = (self._number + 1) % NUMBERS
            self._come = b""
            # The first zero ends what may have been cut.
            self._write(b"\0" + frame(Request(command=Command.IDENTIFY).content(number)))
            before, until = self._received, time.monotonic() + NOISY * self.pipe.patience
            while self._received - before < MOST_NOISE and time.monotonic() < until:
                contents = self._contents(self.pipe.patience, until)
                if not contents:
                    problem = self._silence()
                    break
                # Earlier answers may still come.
                head = bytes([Command.IDENTIFY, number])
                if wanted := [one for one in contents if one is not None and one[:HEAD] == head]:
                    self.facts = self._facts_in(wanted[0][HEAD:])
                    return
        raise problem

    def _silence(self) -> LineLost:
        return LineLost(
            f"{self.pipe.name} did not answer within {self.pipe.patience:g} s: is the board connected and powered, and "
            "are baud rate and bitstream right?"
        )

    def _facts_in(self, text: bytes) -> dict[str, Any]:
        try:
            facts = json.loads(text)
            protocol = facts["protocol"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BoardError(f"{self.pipe.name} does not say who it is: {text[:40]!r}") from error
        if protocol != PROTOCOL:
            raise BoardError(
                f"{self.pipe.name} must speak version {PROTOCOL} of the protocol, not {protocol}: build and flash its "
                "bitstream with this zeroskip"
            )
        for name, least in LEAST.items():
            self._require(facts, name, type(facts.get(name)) is int and facts[name] >= least, f"at least {least}")
        fits = facts["longest"] <= facts["buffer"] - LEAST["buffer"]
        self._require(facts, "longest", fits, f"at most the buffer of {facts['buffer']} without {LEAST['buffer']}")
        clock = facts.get("clock")
        possible = type(clock) in (int, float) and 1 <= clock <= MOST_HZ
        self._require(facts, "clock", clock is None or possible, f"a frequency of 1 to {MOST_HZ:,} Hz, or null")
        return dict(facts)

    def _require(self, facts: dict[str, Any], field: str, kept: bool, rule: str) -> None:
        if not kept:
            raise BoardError(f"{field} of {self.pipe.name} must be {rule}, not {facts.get(field)!r}")

    def _fact(self, field: str) -> Any:
        """Raises BoardError where the board was not asked who it is."""
        if not self.facts:
            raise BoardError(f"connect must come before requests to {self.pipe.name}")
        return self.facts[field]

    def _write(self, data: bytes) -> None:
        self._sent += len(data)
        self.pipe.write(data)

    def _contents(self, timeout: float, until: float = math.inf) -> list[bytes | None]:
        """Waits until a frame is complete, and returns the contents of all that are (None for a damaged one); nothing
        where no byte comes within the timeout. A damaged one stands for noise that goes on `until` a time."""
        before = self._received
        while self._received - before < MOST_NOISE and time.monotonic() < until:
            come = self.pipe.read(timeout)
            self._received += len(come)
            if not come:
                return []
            *frames, self._come = (self._come + come).split(b"\0")
            if contents := [content_of(stuffed) for stuffed in frames if stuffed]:
                return contents
        self._come = b""
        return [None]
