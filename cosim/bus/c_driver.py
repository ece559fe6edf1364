"""The driver in C of a package with the calls of the one in Python, on a core that may be simulated.

The driver reaches its core by a pointer. Here that is an object of C++ whose elements are accesses, which call back:
the lines of the driver stay as they are.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HOOKS = """
#include <stdint.h>

typedef uint32_t (*reader)(uint32_t address);
typedef void (*writer)(uint32_t address, uint32_t value);
static reader read_word;
static writer write_word;

struct Word {
    uint32_t address;
    operator uint32_t() const { return read_word(address); }
    void operator=(uint32_t value) { write_word(address, value); }
};

struct Registers {
    Word operator[](uint32_t index) const { return Word{4 * index}; }
};

extern "C" void hook(reader reads, writer writes)
{
    read_word = reads;
    write_word = writes;
}

extern "C" {
"""

_READER = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
_WRITER = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)

COUNTERS = (
    "runs",
    "busy_cycles",
    "blocked_cycles",
    "drain_cycles",
    "weights",
    "starved_cycles",
    "waiting_cycles",
    "dropped",
)
"""Those of struct zeroskip_counters."""


class _Core(ctypes.Structure):
    """struct zeroskip, whose pointer takes no room here."""

    _fields_ = tuple(
        (name, ctypes.c_uint32) for name in ("base", "layers", "values", "lanes", "inputs_at", "results_at", "events")
    )


class _List(ctypes.Structure):
    """struct zeroskip_list."""

    _fields_ = (
        ("memory", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("address", "room", "count")),
    )


def build(package: Path, library: Path) -> None:
    """Compiles the driver of a package. Raises CalledProcessError where that fails."""
    header = _once(
        (package / "driver/zeroskip_eie.h").read_text(), "volatile uint32_t *base;", "struct Registers base;"
    )
    source = (package / "driver/zeroskip_eie.c").read_text()
    source = _once(source, "    core->base = (volatile uint32_t *)base;\n", "    (void)base;\n")
    folder = library.parent
    (folder / "zeroskip_eie.h").write_text(header)
    (folder / "zeroskip_eie.cpp").write_text(f"{_HOOKS}{source}}}\n")
    subprocess.run(
        [
            "g++",
            "-shared",
            "-fPIC",
            "-I",
            folder,
            "-I",
            package / "registers",
            folder / "zeroskip_eie.cpp",
            "-o",
            library,
        ],
        check=True,
    )


def _once(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"the driver has another line than {old!r}"
    return text.replace(old, new)


class CDriver:
    """The calls of the driver in C, by the names of those in Python; the codes are errors of `python`, the driver in
    Python."""

    def __init__(self, library: Path, python: ModuleType, mmio: Any) -> None:
        self._calls = ctypes.CDLL(str(library))
        self._python = python
        # The library keeps the callbacks, so this object must.
        self._hooks = _READER(mmio.read), _WRITER(mmio.write)
        self._calls.hook(*self._hooks)
        self._core = _Core()
        self._do("open", None)
        self.layers, self.values = self._core.layers, self._core.values

    def load(self, network: NDArray[np.uint32]) -> None:
        self._do("load", _pointer(network), len(network))

    def start(self, first: int, image: NDArray[np.int16]) -> None:
        self._do("start", first, _pointer(image), len(image))

    def ended(self) -> bool:
        return self._is_over("result")

    def wait(self, polls: int = 1_000_000) -> None:
        self._do("wait", polls)

    def read(self, count: int, first: int = 0) -> NDArray[np.int16]:
        found = np.zeros(max(count, 1), np.int16)
        self._do("read", first, _pointer(found), count)
        return found

    def run(self, first: int, image: NDArray[np.int16], outputs: int, polls: int = 1_000_000) -> NDArray[np.int16]:
        found = np.zeros(outputs, np.int16)
        self._do("run", first, _pointer(image), len(image), _pointer(found), outputs, polls)
        return found

    def interrupts(self, on: bool) -> None:
        self._calls.zeroskip_interrupts(ctypes.byref(self._core), int(on))

    def take(self) -> None:
        self._calls.zeroskip_take(ctypes.byref(self._core))

    def cycles(self) -> int:
        return self._number("cycles")

    def count(self) -> dict[str, int]:
        found = (ctypes.c_uint32 * len(COUNTERS))()
        self._calls.zeroskip_count(ctypes.byref(self._core), found)
        return dict(zip(COUNTERS, found, strict=True))

    def stream(self, first: int, inputs: int, outputs: int) -> None:
        self._do("stream", first, inputs, outputs)

    def stream_end(self) -> None:
        self._do("stream_end")

    def start_list(self, descriptors: CList) -> None:
        self._do("list_start", ctypes.byref(descriptors.made))

    def list_ended(self) -> bool:
        return self._is_over("list_end")

    def wait_list(self, polls: int = 1_000_000) -> None:
        self._do("list_wait", polls)

    def stop_list(self) -> None:
        self._calls.zeroskip_list_stop(ctypes.byref(self._core))

    def list_at(self) -> int:
        return self._number("list_at")

    def _number(self, name: str) -> int:
        call = self._calls[f"zeroskip_{name}"]
        call.restype = ctypes.c_uint32
        return int(call(ctypes.byref(self._core)))

    def _is_over(self, name: str) -> bool:
        try:
            self._do(name)
        except self._python.ZeroskipError as error:
            if error.name != "BUSY":
                raise
            return False
        return True

    def _do(self, name: str, *arguments: Any) -> None:
        """A call on the core. Raises ZeroskipError where it returns a code."""
        self.raise_code(self._calls[f"zeroskip_{name}"](ctypes.byref(self._core), *arguments))

    def on_list(self, name: str, made: _List, *arguments: Any, core: bool = False) -> None:
        """A call on a list, or on the core and a list."""
        first = (ctypes.byref(self._core),) if core else ()
        self.raise_code(self._calls[f"zeroskip_list_{name}"](*first, ctypes.byref(made), *arguments))

    def raise_code(self, code: int) -> None:
        for name, (value, _) in self._python.ERRORS.items():
            if value == code:
                raise self._python.ZeroskipError(name)
        assert code == 0, f"the driver returned {code}, which the one in Python does not know"


class CList:
    """A struct zeroskip_list, with the calls of DescriptorList."""

    def __init__(self, driver: CDriver, memory: NDArray[np.uint32], address: int) -> None:
        self._driver = driver
        self._memory = memory
        self.made = _List()
        self._do("begin", _pointer(memory), ctypes.c_uint32(address), len(memory) // 4)

    @property
    def count(self) -> int:
        return self.made.count

    def load(self, address: int, length: int, target: int) -> None:
        self._do("load", *map(ctypes.c_uint32, (address, length, target)))

    def image(self, address: int, values: int) -> None:
        self._do("image", ctypes.c_uint32(address), values)

    def result(self, address: int, values: int) -> None:
        self._do("result", ctypes.c_uint32(address), values)

    def network(self, core: CDriver, network: NDArray[np.uint32], address: int) -> None:
        self._do("network", _pointer(network), len(network), ctypes.c_uint32(address), core=True)

    def images(
        self, core: CDriver, first: int, inputs: int, outputs: int, images: int, results: int, count: int
    ) -> None:
        sizes = (first, inputs, outputs, images, results, count)
        self._do("images", *map(ctypes.c_uint32, sizes), core=True)

    def _do(self, name: str, *arguments: Any, core: bool = False) -> None:
        self._driver.on_list(name, self.made, *arguments, core=core)


def _pointer(values: NDArray[Any]) -> ctypes.c_void_p:
    assert values.flags.c_contiguous
    return ctypes.c_void_p(values.ctypes.data)
