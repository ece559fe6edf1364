"""Driver of the EIE array on a bus, with the calls of the driver in C (zeroskip_eie.h). Needs numpy alone.

    core = Zeroskip(pynq.MMIO(0x40000000, 1 << 20))
    core.load(numpy.fromfile("network.bin", "<u4"))
    result = core.run(0, image, outputs)

The core is anything with `read(address)` and `write(address, value)`, such as pynq.MMIO: words of 32 bits, at addresses
in bytes from that of the core. Every call raises ZeroskipError where the driver in C returns a code, after which the
core can be used again.

With interrupts: `interrupts(True)`, `take()` when the interrupt comes, `start` in place of `run`, and `read` when
`ended` is true.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import eie_axi_array as registers
import numpy as np
from numpy.typing import NDArray

ERRORS = {
    "NO_CORE": (-1, "at the address is no EIE array of zeroskip"),
    "OTHER_MAP": (-2, "the register map of the core has another version"),
    "NO_NETWORK": (-3, "what was given is no image of a network, or not a whole one"),
    "OTHER_SIZES": (-4, "the network was compiled for a core of other sizes"),
    "RANGE": (-5, "there is no such layer, or there are no values, or more than the array has"),
    "NOT_LOADED": (-6, "no network was loaded"),
    "BUSY": (-7, "a run is under way"),
    "TIMEOUT": (-8, "it did not end in time"),
    "LOCKED": (-9, "an access was refused: the core was in use"),
    "ILLEGAL": (-10, "an access was refused that what is there does not take"),
    "UNMAPPED": (-11, "an access was refused: nothing is at its address"),
    "SHORT": (-12, "an image of the stream was too short"),
    "LONG": (-13, "an image of the stream was too long"),
    "KEEP": (-14, "a transfer of the stream left out bytes in the middle of an image"),
    "LIST_FULL": (-15, "the list has no room for another descriptor"),
    "LIST_DESCRIPTOR": (-33, "the memory answered the read of a descriptor by an error"),
    "LIST_READ": (-34, "the memory answered the read of words or of an image by an error"),
    "LIST_WRITE": (-35, "the memory answered the write of a result by an error"),
    "LIST_ADDRESS": (-36, "a descriptor, its data or its target is not aligned, or the target is not in the core"),
    "LIST_LENGTH": (-37, "a descriptor has no words, a part of one, or not the length of an image or of a result"),
    "LIST_KIND": (-38, "there is no such kind of descriptor"),
    "LIST_REFUSED": (-39, "the core refused a word of the list"),
    "LIST_ORDER": (-40, "the list has a result without an image, or an image for which there is no room"),
    "LIST_STOPPED": (-41, "the list was stopped"),
}
"""What the driver in C returns, and what it means."""

_ERROR_EVENTS = ("LOCKED", "ILLEGAL", "UNMAPPED", "SHORT", "LONG", "KEEP")
"""The events that are errors; the first one that is set is told."""

_COUNTERS = (
    *("RUNS", "BUSY_CYCLES", "BLOCKED_CYCLES", "DRAIN_CYCLES"),
    *("WEIGHTS", "STARVED_CYCLES", "WAITING_CYCLES", "DROPPED"),
)

_ALL_EVENTS = 0xFFFFFFFF
_LIST_ERRORS = tuple(name for name, (code, _) in ERRORS.items() if code < -32)

# The head of a network's image.
_MAGIC, _VERSION, _HEAD_WORDS = 0x4E4B535A, 1, 12
_SIZES = ("ARRAY", "ROWS", "WORDS", "POINTERS_OF_PE", "FORMAT", "ARITHMETIC")
_INPUTS_AT, _RESULTS_AT, _BLOCKS = 9, 10, 11

_LOAD, _IMAGE, _RESULT = range(3)
_KIND_LOW = 28
_DESCRIPTOR_BYTES = 16


class Mmio(Protocol):
    """The accesses to a core."""

    def read(self, address: int) -> int: ...

    def write(self, address: int, value: int) -> Any: ...


class ZeroskipError(Exception):
    """What was wrong: `name` is one of ERRORS, and `code` what the driver in C returns."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.code, meaning = ERRORS[name]
        super().__init__(f"{name}: {meaning}")


class Zeroskip:
    """A core. Opening it looks what is at the address, switches its streams and interrupts off, and forgets events."""

    def __init__(self, mmio: Mmio) -> None:
        self._mmio = mmio
        self._inputs_at = self._results_at = 0
        self._events = 0
        identity = self._get("ID")
        if identity != registers.ID__MAGIC__VALUE << registers.ID__MAGIC__LOW | registers.ID__CORE__VALUE:
            raise ZeroskipError("NO_CORE")
        if self._get("VERSION") != registers.VERSION__VERSION__VALUE:
            raise ZeroskipError("OTHER_MAP")
        array = self._get("ARRAY")
        self.layers = _field(array, "ARRAY__LAYERS")
        self.values = self._get("ROWS") * _field(array, "ARRAY__PES")
        self._lanes = _field(self._get("FORMAT"), "FORMAT__LANES")
        self._put("INTERRUPTS", 0)
        self._put("STREAM", registers.STREAM__FLUSH__MASK)
        self._forget()
        if self._get("STATUS") & registers.STATUS__RUNNING__MASK:
            raise ZeroskipError("BUSY")

    def load(self, network: NDArray[np.uint32]) -> None:
        """Loads a network: the words of driver/network.bin."""
        words = self._checked(network)
        self._forget()
        for address, first, count in _blocks(words):
            for index in range(count):
                self._mmio.write(address + 4 * index, words[first + index])
        self._loaded(words)
        self._check()

    def start(self, first: int, image: NDArray[np.int16]) -> None:
        """Loads an image (int16, values) and starts the layers from `first` on."""
        if not self._inputs_at:
            raise ZeroskipError("NOT_LOADED")
        if not 0 <= first < self.layers or not 1 <= len(image) <= self.values:
            raise ZeroskipError("RANGE")
        self._forget()
        self._put("FIRST", first)
        # A word of the window has so many values, two in 32 bits, and is written to its end.
        padded = np.zeros(-(-len(image) // self._lanes) * self._lanes, np.uint16)
        padded[: len(image)] = np.asarray(image, np.int16).view(np.uint16)
        words = padded.astype(np.uint32)
        if self._lanes > 1:
            words = words[::2] | words[1::2] << np.uint32(16)
        for index, word in enumerate(words.tolist()):
            self._mmio.write(self._inputs_at + 4 * index, word)
        # Before the start: what was refused must not run.
        self._check()
        self._put("START", registers.START__START__MASK)

    def ended(self) -> bool:
        """Whether events of a run have been taken. Raises ZeroskipError where it has ended by an error."""
        self._raise(self._events)
        return bool(self._events & registers.EVENTS__DONE__MASK)

    def wait(self, polls: int = 1_000_000) -> None:
        """Reads STATUS at most `polls` times, until the run has ended. Not with interrupts."""
        for _ in range(polls):
            if not self._get("STATUS") & registers.STATUS__RUNNING__MASK:
                self.take()
                if not self.ended():
                    raise ZeroskipError("BUSY")
                return
        raise ZeroskipError("TIMEOUT")

    def read(self, count: int, first: int = 0) -> NDArray[np.int16]:
        """`count` results of the last run, from result `first` on (int16, count)."""
        if not self._results_at:
            raise ZeroskipError("NOT_LOADED")
        if count < 1 or first < 0 or count > self.values - first:
            raise ZeroskipError("RANGE")
        address = self._results_at + 4 * first
        found = [self._mmio.read(address + 4 * index) & 0xFFFF for index in range(count)]
        self._check()
        return np.array(found, np.uint16).view(np.int16)

    def run(self, first: int, image: NDArray[np.int16], outputs: int, polls: int = 1_000_000) -> NDArray[np.int16]:
        """Start, wait and read: the first `outputs` results of an image (int16, outputs)."""
        self.start(first, image)
        self.wait(polls)
        return self.read(outputs)

    def interrupts(self, on: bool) -> None:
        """Whether the end of a run and every error make the interrupt."""
        self._put("INTERRUPTS", _ALL_EVENTS if on else 0)

    def take(self) -> None:
        """Takes the events that have happened, and clears them: what the interrupt is for."""
        events = self._get("EVENTS")
        self._put("EVENTS", events)
        self._events |= events

    def cycles(self) -> int:
        """Cycles of the last run, from its start to its end."""
        return self._get("CYCLES")

    def count(self) -> dict[str, int]:
        """What the core has counted since its reset."""
        return {name.lower(): self._get(name) for name in _COUNTERS}

    def stream(self, first: int, inputs: int, outputs: int) -> None:
        """Lets images come over the stream, and their results go; until `stream_end`, nothing else is done."""
        self._set_sizes(first, inputs, outputs)
        self._put("STREAM", registers.STREAM__ENABLE__MASK)

    def stream_end(self) -> None:
        """Stops them, and forgets images that have not begun. Raises what was wrong with those that came."""
        self._put("STREAM", registers.STREAM__FLUSH__MASK)
        self._check()

    def start_list(self, descriptors: DescriptorList) -> None:
        """Starts a list, on a core that takes them from a memory (--bus axi-master)."""
        if not descriptors.count:
            raise ZeroskipError("RANGE")
        self._forget()
        self._put("LIST", descriptors.address)
        self._check()
        self._put("LIST_START", registers.LIST_START__START__MASK)

    def list_ended(self) -> bool:
        """Whether the event of the list's end has been taken. Raises ZeroskipError where it has ended by an error."""
        if not self._events & registers.EVENTS__LIST__MASK:
            return False
        error = _field(self._get("LIST_STATUS"), "LIST_STATUS__ERROR")
        if error:
            raise ZeroskipError(_LIST_ERRORS[error - 1])
        return True

    def wait_list(self, polls: int = 1_000_000) -> None:
        """Reads LIST_STATUS at most `polls` times, until the list has ended. Not with interrupts."""
        for _ in range(polls):
            if not self._get("LIST_STATUS") & registers.LIST_STATUS__RUNNING__MASK:
                self.take()
                if not self.list_ended():
                    raise ZeroskipError("BUSY")
                return
        raise ZeroskipError("TIMEOUT")

    def stop_list(self) -> None:
        """Ends a list behind the descriptor at work; its end is LIST_STOPPED."""
        self._put("LIST_STOP", registers.LIST_STOP__STOP__MASK)

    def list_at(self) -> int:
        """The address of the descriptor at work, or at which the last list has ended."""
        return self._get("LIST_AT")

    def _get(self, name: str) -> int:
        return int(self._mmio.read(getattr(registers, name)))

    def _put(self, name: str, value: int) -> None:
        self._mmio.write(getattr(registers, name), value)

    def _forget(self) -> None:
        """Forgets what has happened, before accesses that may be refused."""
        self._put("EVENTS", _ALL_EVENTS)
        self._events = 0

    def _check(self) -> None:
        """What was wrong since `_forget`, also where the event has been taken."""
        self._raise(self._get("EVENTS") | self._events)

    def _raise(self, events: int) -> None:
        for name in _ERROR_EVENTS:
            if events & getattr(registers, f"EVENTS__{name}__MASK"):
                raise ZeroskipError(name)

    def _set_sizes(self, first: int, inputs: int, outputs: int) -> None:
        """Says how large images and results are that come without the driver."""
        if not self._inputs_at:
            raise ZeroskipError("NOT_LOADED")
        if not 0 <= first < self.layers or not 1 <= inputs <= self.values or not 1 <= outputs <= self.values:
            raise ZeroskipError("RANGE")
        self._forget()
        for name, value in (("FIRST", first), ("INPUTS", inputs), ("OUTPUTS", outputs)):
            self._put(name, value)
        self._check()

    def _checked(self, network: NDArray[np.uint32]) -> list[int]:
        """The words of a whole network for this core."""
        words: list[int] = np.asarray(network, np.uint32).tolist()
        if len(words) < _HEAD_WORDS or words[:3] != [_MAGIC, _VERSION, len(words)]:
            raise ZeroskipError("NO_NETWORK")
        for name, wanted in zip(_SIZES, words[3:], strict=False):
            # How wide the streams are is of no matter.
            mask = ~registers.ARITHMETIC__STREAM_BITS__MASK if name == "ARITHMETIC" else -1
            if self._get(name) & mask != wanted:
                raise ZeroskipError("OTHER_SIZES")
        end = _HEAD_WORDS
        for _, first, count in _blocks(words):
            end = first + count
        if end != len(words):
            raise ZeroskipError("NO_NETWORK")
        return words

    def _loaded(self, words: list[int]) -> None:
        self._inputs_at, self._results_at = words[_INPUTS_AT], words[_RESULTS_AT]


class DescriptorList:
    """A list of descriptors in memory, for `Zeroskip.start_list`.

    `memory` is the room for it (uint32, 4 * descriptors), and `address` where the core finds it, a multiple of 16; with
    PYNQ, an array of pynq.allocate and its `device_address`, flushed before the start. All addresses are those that the
    core sees.
    """

    def __init__(self, memory: NDArray[np.uint32], address: int) -> None:
        if address % _DESCRIPTOR_BYTES:
            raise ZeroskipError("RANGE")
        self._memory = memory
        self.address = address
        self.count = 0

    @property
    def room(self) -> int:
        """How many descriptors there may still be."""
        return len(self._memory) // 4 - self.count

    def load(self, address: int, length: int, target: int) -> None:
        """Adds a write of `length` bytes to the core's addresses from `target` on."""
        if target >> _KIND_LOW:
            raise ZeroskipError("RANGE")
        self._add(address, length, _LOAD << _KIND_LOW | target)

    def image(self, address: int, values: int) -> None:
        """Adds an image: so many values of 16 bits at an address."""
        self._add(address, 2 * values, _IMAGE << _KIND_LOW)

    def result(self, address: int, values: int) -> None:
        """Adds room for the next result."""
        self._add(address, 2 * values, _RESULT << _KIND_LOW)

    def network(self, core: Zeroskip, network: NDArray[np.uint32], address: int) -> None:
        """Adds what loads a network, as `Zeroskip.load` does. Its words must stay where they are, at `address`."""
        words = core._checked(network)
        if words[_BLOCKS] > self.room:
            raise ZeroskipError("LIST_FULL")
        for target, first, count in _blocks(words):
            self.load(address + 4 * first, 4 * count, target)
        core._loaded(words)

    def images(
        self, core: Zeroskip, first: int, inputs: int, outputs: int, images: int, results: int, count: int
    ) -> None:
        """Adds `count` images and their results, each image while the one before it runs, and says to the core how
        large they are. They follow each other from `images` and `results` on, each from a multiple of 4 on."""
        core._set_sizes(first, inputs, outputs)
        if count < 1:
            raise ZeroskipError("RANGE")
        if count > self.room // 2:
            raise ZeroskipError("LIST_FULL")
        image_bytes, result_bytes = 4 * ((inputs + 1) // 2), 4 * ((outputs + 1) // 2)
        self.image(images, inputs)
        for index in range(count):
            if index + 1 < count:
                self.image(images + (index + 1) * image_bytes, inputs)
            self.result(results + index * result_bytes, outputs)

    def _add(self, address: int, length: int, what: int) -> None:
        """The new descriptor is the last one, until another one follows."""
        if not self.room:
            raise ZeroskipError("LIST_FULL")
        place = 4 * self.count
        self._memory[place : place + 4] = (0, address, length, what)
        if self.count:
            self._memory[place - 4] = self.address + _DESCRIPTOR_BYTES * self.count
        self.count += 1


def _field(value: int, name: str) -> int:
    """A field of a register's value: the name of the register, two underscores, and its own."""
    return (value & getattr(registers, f"{name}__MASK")) >> getattr(registers, f"{name}__LOW")


def _blocks(words: list[int]) -> Iterator[tuple[int, int, int]]:
    """The blocks of a network: address in the core, index of the first word, and number of words. Raises ZeroskipError
    where one is cut."""
    at = _HEAD_WORDS
    for _ in range(words[_BLOCKS]):
        if len(words) - at < 2 or len(words) - at - 2 < words[at + 1]:
            raise ZeroskipError("NO_NETWORK")
        yield words[at], at + 2, words[at + 1]
        at += 2 + words[at + 1]
