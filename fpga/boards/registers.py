"""Registers that synthesis does not merge."""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Elaboratable, Instance, Module, ResetSignal

from zeroskip.rtl.own_register import OwnRegister


class OwnFlipFlops:
    """A platform that makes registers of the flip-flops of an ECP5: Yosys merges equal registers, but not equal cells
    of the device."""

    def get_own_register(self, register: OwnRegister) -> Elaboratable:
        m = Module()
        reset = {"p_SRMODE": "LSR_OVER_CE", "i_LSR": ResetSignal()} if register.resets else {"i_LSR": 0}
        for bit in range(register.width):
            m.submodules[f"bit_{bit}"] = Instance(
                "TRELLIS_FF",
                p_GSR="DISABLED",
                p_CEMUX="1",
                p_CLKMUX="CLK",
                p_LSRMUX="LSR",
                p_REGSET="RESET",
                **reset,
                i_CLK=ClockSignal(),
                i_DI=register.i[bit],
                o_Q=register.o[bit],
            )
        return m
