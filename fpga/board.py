"""A board with one network, as the session in which a core's board driver runs stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zeroskip.fpga.host.host import Host


@dataclass(frozen=True, kw_only=True, eq=False)
class BoardSession:
    """A board whose memories hold the network. Boards record no waveforms."""

    host: Host
    waveform: Path | None = None
