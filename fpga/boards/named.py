"""The boards that `zeroskip fpga build` knows."""

from __future__ import annotations

from zeroskip.fpga.boards.board import GW2AR_18, ICE40UP5K, LFE5U_25, LFE5U_45, LFE5U_85, Board, Device


def _ulx3s(size: str, device: Device) -> Board:
    return Board(
        name=f"ulx3s-{size}",
        title=f"ULX3S {size.upper()}",
        device=device,
        platform=f"ulx3s:ULX3S_{size.upper()}_Platform",
        input_mhz=25,
        clock_mhz=30,
        baud=3_000_000,
        carriers=("uart", "usb"),
        loader=("-b", "ulx3s"),
    )


def _orangecrab(size: str, device: Device) -> Board:
    return Board(
        name=f"orangecrab-{size}",
        title=f"OrangeCrab r0.2 {size.upper()}",
        device=device,
        platform=f"orangecrab_r0_2:OrangeCrabR0_2_{size.upper()}Platform",
        input_mhz=48,
        clock_mhz=30,
        # Pins 0 and 1 of the Feather connector, where Feather boards have their serial port.
        uart=("0", "1"),
        baud=3_000_000,
        # The only plug of the board.
        carrier="usb",
        carriers=("usb", "uart"),
        loader=("-b", "orangeCrab"),
        always_keeps=True,
    )


def _ecpix5(size: str, device: Device) -> Board:
    return Board(
        name=f"ecpix5-{size}",
        title=f"ECPIX-5 {size}F",
        device=device,
        platform=f"ecpix5:ECPIX5{size}Platform",
        input_mhz=100,
        clock_mhz=30,
        baud=3_000_000,
        loader=("-b", "ecpix5"),
    )


BOARDS = {
    board.name: board
    for board in (
        # The 12F is a 25F by another name: the tools use all of it.
        _ulx3s("12f", LFE5U_25),
        _ulx3s("25f", LFE5U_25),
        _ulx3s("45f", LFE5U_45),
        _ulx3s("85f", LFE5U_85),
        _orangecrab("25f", LFE5U_25),
        _orangecrab("85f", LFE5U_85),
        _ecpix5("45", LFE5U_45),
        _ecpix5("85", LFE5U_85),
        Board(
            name="icebreaker",
            title="iCEBreaker",
            device=ICE40UP5K,
            platform="icebreaker:ICEBreakerPlatform",
            input_mhz=12,
            clock_mhz=24,
            baud=1_000_000,
            loader=("-b", "ice40_generic"),
            always_keeps=True,
        ),
        Board(
            name="tangnano20k",
            title="Tang Nano 20K",
            device=GW2AR_18,
            platform="zeroskip.fpga.boards.tang_nano_20k:TangNano20kPlatform",
            input_mhz=27,
            clock_mhz=27,
            baud=1_000_000,
            loader=("-b", "tangnano20k"),
        ),
    )
}


def board_named(name: str) -> Board:
    """Raises ValueError, with all names, where there is no such board."""
    if name not in BOARDS:
        raise ValueError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
