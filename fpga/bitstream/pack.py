"""From the text of a routed design to the bitstream, and back."""

from __future__ import annotations

from zeroskip.fpga.tools import ECPPACK, ECPUNPACK, ICEPACK, ICEUNPACK
from zeroskip.model.temporary import TemporaryFolder

SUFFIX = {"ecp5": ".bit", "ice40": ".bin"}
"""How bitstreams are named."""


def pack(config: str, family: str) -> bytes:
    """The bitstream of a text. The same text gives the same bytes."""
    with TemporaryFolder() as folder:
        (folder / "config").write_text(config)
        if family == "ecp5":
            ECPPACK.run(["--compress", "--input", "config", "--bit", "bitstream"], folder=folder)
        else:
            ICEPACK.run(["config", "bitstream"], folder=folder)
        return (folder / "bitstream").read_bytes()


def unpack(bitstream: bytes, family: str) -> str:
    """The text that a bitstream was packed from, without what a device ignores."""
    with TemporaryFolder() as folder:
        (folder / "bitstream").write_bytes(bitstream)
        if family == "ecp5":
            ECPUNPACK.run(["bitstream", "config"], folder=folder)
        else:
            ICEUNPACK.run(["bitstream", "config"], folder=folder)
        return (folder / "config").read_text()
