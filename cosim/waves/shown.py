"""What a waveform viewer shows of a core: signals in groups, with names for the values of enumerations.

All names are those that Verilator and Icarus Verilog both give a signal, and that GTKWave and Surfer both find. Fields
of a structure (`i__payload.row`) are not among them: the dot in their names is a hierarchy to Surfer, and a backslash
comes before them in Icarus Verilog's waveforms.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from zeroskip.model.sources import PACKAGE


@dataclass(frozen=True, kw_only=True)
class Enumeration:
    """The names of a signal's values; `title` names the enumeration in the viewers, and its file."""

    title: str
    names: Mapping[int, str]


Form: TypeAlias = Literal["hex", "binary", "signed", "unsigned"] | Enumeration
"""How a viewer writes the values of a signal."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A signal: its name from the top of the hierarchy, its bits, and what the viewer calls it and writes."""

    name: str
    bits: int = 1
    label: str
    form: Form = "hex"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Signals under a title. A group that is not `open` is folded at first, in viewers that can."""

    title: str
    signals: Sequence[Shown]
    open: bool = True


def enumeration(title: str, members: type[enum.Enum]) -> Enumeration:
    """That of an Amaranth enumeration, which is an enumeration of Python too."""
    return Enumeration(title=title, names={int(member.value): member.name.lower() for member in members})


def of_player(player: str) -> list[Shown]:
    """What every player (common_player.v) shows of itself, from its name on."""
    return [
        Shown(name=f"{player}.clk", label="clk"),
        Shown(name=f"{player}.state", bits=3, label="player: state", form=_player_states()),
        Shown(name=f"{player}.cycles", bits=32, label="player: cycles since start", form="unsigned"),
    ]


def _player_states() -> Enumeration:
    """The states of all players, as their Verilog numbers them."""
    source = (PACKAGE / "cosim/common_player.v").read_text()
    constants = re.search(r"localparam (OPENING = [^;]*);", source)
    assert constants is not None, "common_player.v has no states"
    names = {int(value): name.lower() for name, value in re.findall(r"(\w+) = (\d+)", constants[1])}
    return Enumeration(title="player state", names=names)


def enumerations(groups: Iterable[Group]) -> list[Enumeration]:
    """The enumerations of all signals, each once."""
    found = {
        signal.form.title: signal.form
        for group in groups
        for signal in group.signals
        if isinstance(signal.form, Enumeration)
    }
    return list(found.values())
