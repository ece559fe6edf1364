"""What a package of Verilog needs to know of a core: the protocol of the modules `zeroskip.cosim.<core>.package`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from amaranth.lib import wiring

from zeroskip.rtl.bus.meanings import MEANINGS
from zeroskip.rtl.bus.register_map import RegisterMap


@dataclass(frozen=True, kw_only=True)
class Description:
    """A core of one geometry.

    `words` are the layouts of its ports' words, by their names as types; `enums` are enumerations in them. `latency`
    says, in cycles where that is a number, how fast the ports answer. `player` is the Verilog that plays programs into
    the core (its module `player_top`), which reads sizes from the macros `defines` and has the core as its instance
    `instance`. `waves` is a timing diagram, in WaveJSON: a load, a start, and the answer.
    `registers` is the register map of a core on a bus. `inlined` are files that stand in the player of a package, in
    place of the lines that include them. `files` are more files of the package, by their paths in it; `targets` are
    more of its Makefile.
    """

    core: str
    title: str
    prefix: str
    component: wiring.Component
    geometry: Any
    words: Mapping[str, Any]
    enums: Mapping[str, Any]
    latency: Mapping[str, int | str]
    player: Path
    player_top: str
    instance: str
    defines: Mapping[str, int]
    waves: Mapping[str, Any]
    registers: RegisterMap | None = None
    inlined: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    targets: str = ""


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What a core is given, and what it must answer: the player's `program` and its record without what it only counts.
    `contents` are the words of memories that hold something at the start, as lines of hexadecimal numbers, by the
    paths of the memories. `what` tells people what is run. `files` are more files of the package, by their paths in it.
    """

    program: bytes
    expected: str
    what: str
    contents: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)


class CorePackage(Protocol):
    """The functions of a module `zeroskip.cosim.<core>.package`."""

    def describe(self, geometry: Any) -> Description:
        """The core of a geometry."""
        ...

    def sample_vectors(self, geometry: Any) -> Vectors:
        """Small made-up operands that fit the geometry. Raises ValueError where nothing does."""
        ...


_SECTION = re.compile(r"^Ports\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", re.M | re.S)
_ENTRY = re.compile(r"^(?P<name>\S+) : (?P<kind>.+)\n(?P<text>(?:[ ]+.*(?:\n|\Z)|\n)*)", re.M)
_HANDSHAKE = {
    "valid": "A word is offered. It is transferred in a cycle in which `valid` and `ready` are high.",
    "ready": "A word can be taken.",
}


class PortEntry(NamedTuple):
    """A port in the docstring of a component: `load : stream of load_layout, in`, and below what it means."""

    name: str
    kind: str
    direction: str
    meaning: str


def port_entries(component: wiring.Component) -> Iterator[PortEntry]:
    """The ports of a component, as its docstring lists them."""
    section = _SECTION.search(inspect.getdoc(type(component)) or "")
    for entry in _ENTRY.finditer(f"{section[1].rstrip()}\n" if section else ""):
        kind, _, direction = entry["kind"].rpartition(",")
        yield PortEntry(entry["name"], kind, direction.strip(), " ".join(entry["text"].split()))


def port_meanings(component: wiring.Component) -> dict[str, str]:
    """What each port of a component means, by its Verilog name, as its docstring says."""
    found = {"clk": "Clock; every register takes its rising edge.", "rst": "Reset, synchronous and active high."}
    for name, kind, _, meaning in port_entries(component):
        if kind.startswith("stream of "):
            word = kind.removeprefix("stream of ")
            found[f"{name}__payload"] = f"{meaning} The word: {word}."
            found |= {f"{name}__{end}": f"`{name}`: {text}" for end, text in _HANDSHAKE.items()}
        elif kind in MEANINGS:
            found |= {f"{name}_{signal}": f"{text} {meaning}" for signal, text in MEANINGS[kind].items()}
        else:
            found[name] = meaning
    return found
