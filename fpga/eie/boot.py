"""The boot memory of a LinkedArray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zeroskip.fpga.eie.bursts import layout_digest, network_digest, table_bursts, word_bytes
from zeroskip.fpga.host.requests import Burst
from zeroskip.fpga.identity import board_text
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.layouts import LoadTarget
from zeroskip.rtl.link.boot import boot_records
from zeroskip.rtl.link.protocol import MOST_OF_RECORD


@dataclass(frozen=True, kw_only=True)
class BootMemory:
    """`text` answers IDENTIFY, `records` are the requests that the board obeys after a reset. For one geometry, both
    have the same length with every network, so that the memory of a finished design can be filled with another."""

    text: bytes
    records: bytes

    @property
    def contents(self) -> bytes:
        """The whole memory, the text first."""
        return self.text + self.records


def boot_memory(
    geometry: EieGeometry,
    network: EieNetwork | None = None,
    *,
    buffer: int,
    clock: int | None,
    carrier: str = "uart",
) -> BootMemory:
    """The boot memory of a board with `network` inside, or with none.

    `buffer` is that of the board's link, `clock` the array's frequency in Hz, which the host uses to give times; None
    if nobody knows it, and `carrier` what carries the link. Raises ValueError where the network is for another
    geometry.
    """
    if network is not None and network.geometry != geometry:
        raise ValueError(f"network must be for {geometry}, not {network.geometry}")
    digest = None if network is None else network_digest(network)
    layout = layout_digest(geometry)
    text = board_text("eie", geometry, layout, buffer=buffer, clock=clock, carrier=carrier, network=digest)
    bursts = [] if network is None else table_bursts(network)
    return BootMemory(text=text, records=_records(bursts).ljust(_record_bytes(geometry), b"\0"))


def _records(bursts: Sequence[Burst]) -> bytes:
    return boot_records(request.content(0) for burst in bursts for request in burst.requests(MOST_OF_RECORD))


def _record_bytes(geometry: EieGeometry) -> int:
    """Bytes of the requests that fill both tables, and of their end."""
    widths = word_bytes(geometry)
    tables = ((LoadTarget.CODEBOOKS, geometry.layers * geometry.codebook_size), (LoadTarget.LAYERS, geometry.layers))
    full = [Burst(target=0, address=0, width=widths[one], words=bytes(widths[one] * words)) for one, words in tables]
    return len(_records(full))
