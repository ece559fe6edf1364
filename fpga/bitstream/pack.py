"""From the text of a routed design to the bitstream, and back."""

from __future__ import annotations

from zeroskip.fpga.bitstream.gowin import CHIP
from zeroskip.fpga.tools import ECPPACK, ECPUNPACK, GOWIN_PACK, ICEPACK, ICEUNPACK
from zeroskip.model.temporary import TemporaryFolder

SUFFIX = {"ecp5": ".bit", "ice40": ".bin", "gowin": ".fs"}
"""How bitstreams are named."""

UNPACKED = ("ecp5", "ice40")
"""The families whose tools read the contents of block RAMs out of a bitstream."""


def pack(config: str, family: str) -> bytes:
    """The bitstream of a text. The same text gives the same bytes."""
    with TemporaryFolder() as folder:
        (folder / "config").write_text(config)
        if family == "ecp5":
            ECPPACK.run(["--compress", "--input", "config", "--bit", "bitstream"], folder=folder)
        elif family == "gowin":
            GOWIN_PACK.run(["-d", CHIP, "-o", "bitstream", "config"], folder=folder)
        else:
            ICEPACK.run(["config", "bitstream"], folder=folder)
        return (folder / "bitstream").read_bytes()


def unpack(bitstream: bytes, family: str) -> str:
    """The text that a bitstream of one of the families UNPACKED was packed from, without what a device ignores."""
    with TemporaryFolder() as folder:
        (folder / "bitstream").write_bytes(bitstream)
        if family == "ecp5":
            ECPUNPACK.run(["bitstream", "config"], folder=folder)
        else:
            ICEUNPACK.run(["bitstream", "config"], folder=folder)
        return (folder / "config").read_text()
