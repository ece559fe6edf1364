"""The bus interfaces of a component, as IP-XACT and Vivado name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from amaranth.lib import wiring

from zeroskip.cosim.package.description import port_entries
from zeroskip.rtl.bus.meanings import MEANINGS

VENDOR = "xilinx.com"
VERSION = "1.0"
"""Of all definitions of buses below: those that Vivado brings."""

_BUSES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "axi_lite": ("aximm", {"PROTOCOL": "AXI4LITE"}),
    "axi_memory": ("aximm", {"PROTOCOL": "AXI4"}),
    "axi_stream": ("axis", {}),
    "apb": ("apb", {}),
}
"""The name of a bus, and the parameters of an interface to it, by the kind of a port. Wishbone has no definition there:
its ports stand alone."""


@dataclass(frozen=True, kw_only=True)
class BusInterface:
    """The ports of a component that belong together: `ports` are their names, by those of the signals of the bus.
    `drives` says that the component begins the transfers, or gives the signal."""

    name: str
    library: str
    bus: str
    drives: bool
    ports: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def memory_mapped(self) -> bool:
        """Whether its transfers have addresses."""
        return self.bus in ("aximm", "apb")


def bus_interfaces(component: wiring.Component) -> list[BusInterface]:
    """Those of a component: its buses, then clock, reset and interrupt."""
    buses: list[BusInterface] = []
    interrupts: list[BusInterface] = []
    for name, kind, direction, _ in port_entries(component):
        if kind in _BUSES:
            bus, parameters = _BUSES[kind]
            buses.append(
                BusInterface(
                    name=name,
                    library="interface",
                    bus=bus,
                    drives=direction == "out",
                    ports={signal.upper(): f"{name}_{signal}" for signal in MEANINGS[kind]},
                    parameters=parameters,
                )
            )
        elif name == "irq":
            interrupts.append(_signal("irq", "interrupt", "INTERRUPT", {"SENSITIVITY": "LEVEL_HIGH"}, drives=True))
    return [*buses, _clock(buses), _signal("rst", "reset", "RST", {"POLARITY": "ACTIVE_HIGH"}), *interrupts]


def _clock(buses: Sequence[BusInterface]) -> BusInterface:
    """The clock says which buses have it."""
    names = ":".join(bus.name for bus in buses)
    associated = {"ASSOCIATED_BUSIF": names} if names else {}
    return _signal("clk", "clock", "CLK", {**associated, "ASSOCIATED_RESET": "rst"})


def _signal(port: str, bus: str, signal: str, parameters: Mapping[str, str], *, drives: bool = False) -> BusInterface:
    return BusInterface(
        name=port, library="signal", bus=bus, drives=drives, ports={signal: port}, parameters=parameters
    )
