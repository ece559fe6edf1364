"""The two lines of USB at full speed: packets on them as bytes, for LUNA's devices. Needs the package luna-usb."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, ResetInserter, Signal, Value
from amaranth.lib.cdc import FFSynchronizer
from luna.gateware.interface.gateware_phy import GatewarePHY
from luna.gateware.interface.gateware_phy.receiver import (
    RxBitstuffRemover,
    RxClockDataRecovery,
    RxNRZIDecoder,
    RxPacketDetect,
    RxShifter,
)
from luna.gateware.interface.gateware_phy.transmitter import TxPipeline


class UsbLines(GatewarePHY):
    """LUNA's transceiver, for two domains with one clock: `usb_io`, and `usb`, which is enabled by `bit` once in the
    four cycles of a bit.

    LUNA's own takes two clocks, and what it has received crosses from one to the other through FIFOs. They cost three
    bits more before each answer, and hosts wait for 16.
    """

    def __init__(self, *, bit: Value) -> None:
        super().__init__(io=None)
        self.bit = bit
        self.plus = Signal()
        self.minus = Signal()
        self.drive = Signal()
        self.plus_out = Signal()
        self.minus_out = Signal()

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.line_state = FFSynchronizer(Cat(self.minus, self.plus), self.line_state, o_domain="usb_io")
        m.d.comb += self.vbus_valid.eq(1)

        m.submodules.transmitter = sender = TxPipeline()
        m.d.comb += [
            sender.i_data_payload.eq(self.tx_data),
            sender.i_oe.eq(self.tx_valid),
            self.tx_ready.eq(sender.o_data_strobe),
            # A bit comes out of the sender's synchronisers just as the next one goes in.
            sender.i_bit_strobe.eq(self.bit),
            self.drive.eq(sender.o_oe),
            self.plus_out.eq(sender.o_usbp),
            self.minus_out.eq(sender.o_usbn),
        ]

        # While the device drives the lines, it does not listen.
        m.submodules.recovery = recovery = RxClockDataRecovery(self.plus & ~self.drive, self.minus & ~self.drive)
        m.submodules.nrzi = nrzi = RxNRZIDecoder()
        m.submodules.detect = detect = RxPacketDetect()
        m.submodules.stuffing = stuffing = ResetInserter(~detect.o_pkt_active)(RxBitstuffRemover())
        m.submodules.shifter = shifter = RxShifter(width=8)
        was_active = Signal()
        m.d.usb_io += was_active.eq(detect.o_pkt_active)
        m.d.comb += [
            nrzi.i_valid.eq(recovery.line_state_valid),
            nrzi.i_dj.eq(recovery.line_state_dj),
            nrzi.i_dk.eq(recovery.line_state_dk),
            nrzi.i_se0.eq(recovery.line_state_se0),
            detect.i_valid.eq(nrzi.o_valid),
            detect.i_se0.eq(nrzi.o_se0),
            detect.i_data.eq(nrzi.o_data),
            stuffing.i_valid.eq(nrzi.o_valid),
            stuffing.i_data.eq(nrzi.o_data),
            shifter.reset.eq(detect.o_pkt_end),
            shifter.i_data.eq(stuffing.o_data),
            shifter.i_valid.eq(~stuffing.o_stall & was_active),
        ]

        byte = Signal(8)
        with m.If(shifter.o_put):
            m.d.usb_io += byte.eq(shifter.o_data[::-1])
        begun, come, ended = (self._held(m, it) for it in (detect.o_pkt_start, shifter.o_put, detect.o_pkt_end))
        m.d.comb += [self.rx_data.eq(byte), self.rx_valid.eq(come & self.rx_active)]
        with m.If(begun):
            m.d.usb += self.rx_active.eq(1)
        with m.Elif(ended):
            m.d.usb += self.rx_active.eq(0)
        return m

    def _held(self, m: Module, strobe: Value) -> Signal:
        """High in the one cycle of `usb` that follows a cycle of `usb_io` in which `strobe` is high."""
        held = Signal()
        with m.If(strobe):
            m.d.usb_io += held.eq(1)
        with m.Elif(self.bit):
            m.d.usb_io += held.eq(0)
        return held
