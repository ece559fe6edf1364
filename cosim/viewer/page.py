"""Puts the viewer of a run together: one HTML file with its styles, its scripts and the data, which loads nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from zeroskip.cosim.viewer.packed import packed
from zeroskip.cosim.viewer.viewer import Viewer
from zeroskip.cosim.waves.vcd import cycles
from zeroskip.model.files import replacing

HERE = Path(__file__).parent
PARTS = [HERE / "page.css", HERE / "data.js", HERE / "words.js", HERE / "player.js", HERE / "strip.js"]


def write_viewer(path: Path, waveform: Path, viewer: Viewer, *, title: str, of: str) -> None:
    """Writes the page of a waveform in the format VCD; an existing file is replaced completely or not at all. `of` says
    how much ran, as "3 samples"."""
    arrays = viewer.decode(cycles(waveform, viewer.clock, viewer.signals))
    data = {
        "title": title,
        "of": of,
        "facts": viewer.facts(),
        "arrays": {name: packed(array) for name, array in arrays.items()},
    }
    parts = [*PARTS, *viewer.parts]
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=escape(title),
        style=_joined(parts, ".css"),
        script=_joined(parts, ".js"),
        # A name that holds a tag's end would end the script that the data are.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def _joined(parts: Sequence[Path], suffix: str) -> str:
    return "\n".join(part.read_text(encoding="utf-8") for part in parts if part.suffix == suffix)
