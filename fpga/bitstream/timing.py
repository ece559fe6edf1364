"""How fast a routed design is: clocks and the critical path, from the report of place and route."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

OTHER_CLOCKS = ("board_clk", "usb_clk")
"""How the names of the nets end that carry the board's clock and that of USB (zeroskip.fpga.boards.clock)."""

CORE_CLOCK = "sync"
"""How the core's clock is called in reports."""


class TimingError(RuntimeError):
    """A routed design does not reach its clock; the message names the path."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """`fmax` and `constraint` in MHz by clock; the core's clock is `sync`. `path` are the names of the signals from
    register to register on the slowest path of that clock, and `path_ns` its delay."""

    fmax: dict[str, float]
    constraint: dict[str, float]
    path: tuple[str, ...]
    path_ns: float

    @property
    def met(self) -> bool:
        return not self._missed()

    def _missed(self) -> list[str]:
        """The clocks that are not met."""
        return [clock for clock, mhz in self.fmax.items() if mhz < self.constraint[clock]]

    def missed(self) -> list[str]:
        """What is not met: for each clock a sentence, with the path."""
        return [self._problem(clock) for clock in self._missed()]

    def _problem(self, clock: str) -> str:
        name, where = f"the clock {clock}", ""
        if clock == CORE_CLOCK:
            name, where = "the clock", f": the path {' -> '.join(self.path)} takes {self.path_ns:.1f} ns"
        wanted = self.constraint[clock]
        return f"{name} must be at most {self.fmax[clock]:.1f} MHz after routing, not {wanted:g}{where}"

    def require(self, makes: Callable[[float], bool] = lambda mhz: True) -> None:
        """Raises TimingError, with the path and what would be met, unless all clocks are met. `makes` tells whether the
        board can make a clock for the core."""
        for clock in self._missed():
            slower = ""
            if clock == CORE_CLOCK and makes(int(self.fmax[clock])):
                slower = f"ask for --clock {int(self.fmax[clock])}, or "
            raise TimingError(
                f"{self._problem(clock)}; another --seed may reach it; or {slower}build with --allow-timing"
            )


def timing(report: Mapping[str, Any], core_mhz: float) -> Timing:
    """Reads the JSON report of nextpnr; the core's clock is the one constrained to `core_mhz`."""
    fmax, constraint = {}, {}
    alike = [net for net, found in report["fmax"].items() if abs(found["constraint"] - core_mhz) < 0.01 * core_mhz]
    # Others may have the same frequency.
    core = next((net for net in alike if not net.endswith(OTHER_CLOCKS)), alike[0] if alike else None)
    for net, found in report["fmax"].items():
        # The tools add to the name of the net that carries the clock.
        name = re.sub(r"^\$glbnet\$|\$SB_IO_IN.*$|\$TRELLIS_IO_IN.*$", "", net) if net != core else CORE_CLOCK
        fmax[name], constraint[name] = round(found["achieved"], 2), round(found["constraint"], 2)
    paths = [path for path in report["critical_paths"] if _clock(path["from"]) == core == _clock(path["to"])]
    slowest = max(paths, key=_delay, default=None)
    return Timing(
        fmax=fmax,
        constraint=constraint,
        path=() if slowest is None else _signals(slowest["path"]),
        path_ns=0.0 if slowest is None else round(_delay(slowest), 2),
    )


def _clock(end: str) -> str:
    """The net in "posedge NET"."""
    return end.partition(" ")[2]


def _delay(path: Mapping[str, Any]) -> float:
    return sum(float(step["delay"]) for step in path["path"])


def _signals(path: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """The signals on a path that have a name in the source, each once, without the tools' additions."""
    names: list[str] = []
    for step in path:
        # "table.0.10_DO_2" is an output of a cell of the memory `table`.
        for end in (step.get("net", ""), step["to"]["cell"] if step["type"] == "setup" else ""):
            name = re.split(r"_(?:LUT\d|MUX2|PFUMX|L6MUX21|CCU2C|ALU|TRELLIS|DFF|SB_|DP16KD)|\.\d+\.\d+_|\\?\$", end)[0]
            if name and (not names or names[-1] != name):
                names.append(name)
    return tuple(names)
