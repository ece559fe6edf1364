"""The contents of block RAMs in the netlist, as JSON, from which a Gowin bitstream is packed.

Each block RAM is a cell with the parameters INIT_RAM_00 to INIT_RAM_3F, of 288 bits, or 256 where words have no ninth
bits; a cell without them holds zeros.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHIP = "GW2A-18C"
"""What the tools call the chip of the Tang Nano 20K."""

KINDS = ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9")
"""The cells that are a block RAM, after synthesis."""

ROUTED_KINDS = ("SP", "SDP", "DP", "ROM")
"""The same after routing: an attribute tells whether words have ninth bits."""

PARAMETER = "INIT_RAM_{:02X}"
ROWS, ROW_BITS, NARROW_BITS = 64, 288, 256


def contents(cell: Mapping[str, Any]) -> NDArray[np.uint8]:
    """The bits at power-up of a block RAM: row by row, the lowest first, narrow rows filled up with zeros; undefined
    ones are 0."""
    bits = np.zeros((ROWS, ROW_BITS), np.uint8)
    for row in range(ROWS):
        digits = cell["parameters"].get(PARAMETER.format(row), "")
        bits[row, : len(digits)] = np.frombuffer(digits[::-1].encode(), np.uint8) == ord("1")
    return bits.reshape(-1)


def sections(netlist: str) -> dict[str, NDArray[np.uint8]]:
    """The contents of each block RAM of a routed netlist, by the name of its cell."""
    return {name: contents(cell) for name, cell in _block_rams(json.loads(netlist)).items()}


def replaced(netlist: str, wanted: Mapping[str, NDArray[np.uint8]]) -> str:
    """The netlist with other contents in some of its block RAMs."""
    found = json.loads(netlist)
    cells = _block_rams(found)
    for name, bits in wanted.items():
        cell = cells[name]
        width = ROW_BITS if "X9" in cell["attributes"]["BSRAM_SUBTYPE"] else NARROW_BITS
        for row, held in enumerate(bits.reshape(ROWS, ROW_BITS)):
            if held[width:].any():
                raise ValueError(f"a row of {name} must have {width} bits, not more")
            cell["parameters"][PARAMETER.format(row)] = "".join(map(str, held[:width][::-1]))
    return json.dumps(found)


def _block_rams(netlist: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (module,) = [one for one in netlist["modules"].values() if "top" in one.get("attributes", {})]
    return {name: cell for name, cell in module["cells"].items() if cell["type"] in ROUTED_KINDS}
