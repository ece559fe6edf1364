"""What carries the bytes between a host and a simulated board: nothing but its streams, its serial pins, or USB."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from zeroskip.cosim.build import Design
from zeroskip.cosim.emit import emit_verilog
from zeroskip.cosim.player import BENCH, Player
from zeroskip.cosim.usb.host import BIT_RATE, Heard, UsbHost
from zeroskip.fpga.tops.serial import SerialTop
from zeroskip.model.sources import PACKAGE, closure_hash

BIT_CYCLES = 8
"""Cycles of a bit on the simulated serial line. On a board they are more; that only takes longer."""

CYCLE_NS = 2

USB_CYCLE, USB_BIT = 400, 1604
"""A cycle of the board's USB clock, of which four are a bit, and a bit of the host, in units of the simulator's time:
they differ by as much as devices may, 0.25 % (USB 2.0, section 7.1.11)."""

PACKET = 64


class Carrier(Protocol):
    """Carries bytes to a board in a simulator, and back."""

    bench: str
    """The module of the cocotb bench."""

    def plusargs(self) -> Mapping[str, str]: ...

    def design(self, linked: Callable[[], Any], component: type, key: str) -> Design:
        """What is simulated. `linked` makes the component with the ports of LinkedArray; `component` is its class, and
        `key` its parameters."""
        ...

    def exchange(self, player: Player, out: bytes, frames: int, quiet: int) -> tuple[bytes, int]:
        """Sends `out`, and waits until `frames` frames have come or the board was quiet for so many cycles. Returns
        what has come, and the cycles that passed."""
        ...


class Streams:
    """Straight into the component's streams."""

    bench = BENCH

    def plusargs(self) -> Mapping[str, str]:
        return {}

    def design(self, linked: Callable[[], Any], component: type, key: str) -> Design:
        return Design(
            component=component,
            key=key,
            top="player",
            verilog=lambda: emit_verilog(linked(), "linked"),
            sources=(PACKAGE / "cosim/sram.v", PACKAGE / "fpga/simulation/stream_player.v"),
            included=(PACKAGE / "cosim/common_player.v",),
        )

    def exchange(self, player: Player, out: bytes, frames: int, quiet: int) -> tuple[bytes, int]:
        come, cycles = player.play([frames.to_bytes(4, "big"), quiet.to_bytes(4, "big"), out]).decode().split(" ")
        return bytes.fromhex(come), int(cycles)


class SerialPins(Streams):
    """Over the serial pins of a SerialTop, with BIT_CYCLES a bit."""

    bench = "zeroskip.fpga.simulation.pins_bench"

    def plusargs(self) -> Mapping[str, str]:
        return {"clock": str(CYCLE_NS), "bit": str(BIT_CYCLES * CYCLE_NS)}

    def design(self, linked: Callable[[], Any], component: type, key: str) -> Design:
        return Design(
            component=SerialTop,
            key=f"{key} {BIT_CYCLES} {closure_hash(component.__module__)}",
            top="top",
            verilog=lambda: emit_verilog(SerialTop(linked(), clock=BIT_CYCLES * 1e6, baud=1e6), "top"),
            sources=(PACKAGE / "cosim/sram.v",),
        )


class UsbPins:
    """Over the two lines of USB of a UsbTop, at whose other end is a UsbHost. `clock` is the core's in Hz."""

    bench = "zeroskip.fpga.simulation.usb_bench"

    def __init__(self, clock: float) -> None:
        self.host: UsbHost | None = None
        self._clock = clock

    def plusargs(self) -> Mapping[str, str]:
        core = round(USB_CYCLE * 48e6 / self._clock)
        return {"usb": str(USB_CYCLE), "core": str(core), "bit": str(USB_BIT)}

    def design(self, linked: Callable[[], Any], component: type, key: str) -> Design:
        from zeroskip.fpga.simulation.usb_bus import UsbBus
        from zeroskip.fpga.tops.usb import UsbTop

        return Design(
            component=UsbTop,
            key=f"{key} {closure_hash(component.__module__)} {closure_hash(UsbBus.__module__)}",
            top="top",
            verilog=lambda: emit_verilog(UsbBus(UsbTop(linked())), "top"),
            sources=(PACKAGE / "cosim/sram.v",),
        )

    def exchange(self, player: Player, out: bytes, frames: int, quiet: int) -> tuple[bytes, int]:
        if self.host is None:
            self.host = UsbHost(PlayedWire(player))
            self.host.enumerate()
        host, come = self.host, b""
        begin = heard = host.time
        while out or come.count(0) < frames:
            if out and host.write(out[:PACKET]):
                out, heard = out[PACKET:], host.time
            if part := host.read():
                come, heard = come + part, host.time
            if (host.time - heard) / BIT_RATE * self._clock > quiet:
                break
        return come, round((host.time - begin) / BIT_RATE * self._clock)


class PlayedWire:
    """The lines of USB in a simulator."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def drive(self, line: str, listen: int) -> Heard:
        return Heard(**json.loads(self._player.play([json.dumps({"drive": line, "listen": listen}).encode()])))


CARRIERS: Mapping[str, Callable[[float], Carrier]] = {
    "streams": lambda clock: Streams(),
    "uart": lambda clock: SerialPins(),
    "usb": UsbPins,
}
"""What makes each, of the core's clock in Hz."""
