"""Writes docs/sweeps.md anew from docs/sweeps/sweeps.json; `zeroskip sweep eie` measures that file."""

from __future__ import annotations

import json

from tables import DOCS, update

from zeroskip.model.eie.sweep_page import page


def written(_: str) -> str:
    """The page of the sweeps that were measured."""
    return page(json.loads((DOCS / "sweeps/sweeps.json").read_text()), "sweeps")


if __name__ == "__main__":
    update(DOCS / "sweeps.md", written)
