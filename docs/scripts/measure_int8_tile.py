"""Measures the int8 tile of the table in docs/boards/index.md, and writes it to docs/measured: some minutes. No network
is compiled for int8 yet, so `zeroskip fpga build` has none to take the geometry from."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from tables import DOCS

from zeroskip.api.fpga.bitstream import BoardSettings, built, chosen_board
from zeroskip.fpga.drivers import core_on_board
from zeroskip.model.mma.geometry import TileGeometry

SETTINGS = BoardSettings(clock=110.0)
GEOMETRY = TileGeometry(
    m=2, n=2, k=8, dtype="int8", out="int32", generation="A100", a_words=512, b_words=512, d_words=512
)

board = chosen_board("ulx3s-85f", SETTINGS)
with tempfile.TemporaryDirectory() as folder:
    result = built(
        core_on_board("mma"),
        board,
        SETTINGS,
        core="mma",
        geometry=GEOMETRY,
        contents=None,
        file=Path(folder) / f"tile-int8-{board.name}.bit",
        network=None,
        progress=lambda step: print(step.task, flush=True),
        start=time.monotonic(),
    )
found = result.summary()
found["bitstream"] = Path(found["bitstream"]).name
(DOCS / f"measured/fpga-build-{board.name}-tile-int8.json").write_text(json.dumps(found) + "\n")
