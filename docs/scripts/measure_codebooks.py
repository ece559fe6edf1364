"""Measures what several codebooks a layer cost on an ECP5, into docs/measured/codebooks-fpga.json: blocks of the EIE
array, each by itself, with one codebook and with more. It takes minutes."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from tables import DOCS

from zeroskip.fpga.blocks.measure import measure
from zeroskip.fpga.blocks.named import EIE_SIZES
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.codebooks import CodebookStore
from zeroskip.rtl.eie.decoder import WeightDecoder
from zeroskip.rtl.eie.fetch import ActivationFetch
from zeroskip.rtl.eie.pe import ProcessingElement

FILE = DOCS / "measured/codebooks-fpga.json"
GROUPS = (1, 8)
COLUMNS = 64
BLOCKS: dict[str, Any] = {
    "eie.decoder": WeightDecoder,
    "eie.fetch": ActivationFetch,
    "eie.codebooks": CodebookStore,
    "eie.pe": ProcessingElement,
}


def main() -> None:
    rows = []
    for name, kind in BLOCKS.items():
        for groups in GROUPS:
            print(f"{name}, {groups}", file=sys.stderr, flush=True)
            geometry = EieGeometry(**EIE_SIZES, codebook_groups=groups, codebook_columns=COLUMNS if groups > 1 else 0)
            found = dataclasses.asdict(measure(kind(geometry)))
            rows.append({"name": name, "groups": groups, **{key: found[key] for key in ("lut", "ff", "ram", "mhz")}})
            FILE.write_text(json.dumps({"columns": COLUMNS, "sizes": EIE_SIZES, "blocks": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
