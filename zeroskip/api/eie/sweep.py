"""Sweeps over the sizes of the EIE array with the cycle model: `zeroskip sweep eie`. Imports nothing heavy."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import typed
from zeroskip.api.paths import reserves
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.model.eie.paper_layers import PaperLayer


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepResult:
    """`figures` holds the sweeps (zeroskip.model.eie.sweeps), `files` what was written."""

    figures: dict[str, Any]
    files: list[Path]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What `zeroskip sweep eie --json` prints."""
        return {**self.figures, "written": [str(path) for path in self.files], "seconds": self.seconds}

    def rows(self) -> list[tuple[str, str]]:
        """The geometric means over the layers as (label, value) for people."""
        mean = self.figures["geomean"]
        rows = [
            (f"utilisation, queue depth {row['queue_depth']}", f"{row['utilisation']:.1%}")
            for row in mean["queue_depth"]
        ]
        rows += [(f"words read, {row['word_bits']} bits wide", f"{row['reads']:,.0f}") for row in mean["word_bits"]]
        rows += [(f"speed-up, {row['pes']} PEs", f"{row['speedup']:.1f}") for row in mean["pes"]]
        rows += [
            (f"Mbit, {row['index_bits']} index bits", f"{row['total_bits'] / 1e6:.1f}") for row in mean["index_bits"]
        ]
        return [*rows, *(("written to", str(path)) for path in self.files)]


def _page(folder: Path) -> Path:
    """The page about the plots and the data in a folder."""
    return folder.with_name(f"{folder.name}.md")


@typed
@reserves("output", beside=lambda folder: [_page(folder)])
def sweep_eie(
    *,
    output: Path | str,
    layers: tuple[str, ...] = (),
    processes: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> SweepResult:
    """Vary queue depth, PEs, word width and index bits, as the EIE paper does (Han et al., ISCA 2016, figures 8 to 13).

    `layers` are names of the paper's Table III, all nine if there are none. `output` is the folder of the plots and
    the data; the page about them is written next to it. `processes` need 2 GB each; None is one a CPU core, at most 4.
    Raises ValueError for an unknown layer.
    """
    start = time.monotonic()
    output = Path(output)
    progress(Step(task="starting"))
    from zeroskip.model.eie.sweeps import steps, sweep

    chosen = _layers(layers)
    # Checked before minutes of work, not after them.
    output.mkdir(parents=True, exist_ok=True)
    done, total = count(1), steps(chosen)
    progress(Step(task="sweeping", total=total))
    figures = sweep(
        chosen,
        seed=seed,
        processes=processes or min(os.cpu_count() or 1, 4),
        advance=lambda: progress(Step(task="sweeping", done=next(done), total=total)),
    )
    return SweepResult(figures=figures, files=_write(figures, output), seconds=time.monotonic() - start)


def _layers(names: tuple[str, ...]) -> list[PaperLayer]:
    """The layers in the order of the paper's table."""
    from zeroskip.model.eie.paper_layers import PAPER_LAYERS

    known = {layer.name.lower(): layer for layer in PAPER_LAYERS}
    if unknown := [name for name in names if name.lower() not in known]:
        raise ValueError(f"layers must be among {', '.join(x.name for x in PAPER_LAYERS)}, not {unknown[0]!r}")
    wanted = {name.lower() for name in names} or set(known)
    return [layer for layer in PAPER_LAYERS if layer.name.lower() in wanted]


def _write(figures: dict[str, Any], output: Path) -> list[Path]:
    """Writes sweeps.json and the plots into `output`, and the page next to it, `output`.md."""
    from zeroskip.model.eie.sweep_page import page
    from zeroskip.model.eie.sweep_plots import write_plots

    data, text = output / "sweeps.json", _page(output)
    data.write_text(_json(figures))
    plots = write_plots(figures, output)
    text.write_text(page(figures, output.name))
    return [data, *plots, text]


def _json(figures: dict[str, Any]) -> str:
    """JSON with one row a line, so that two versions can be compared."""
    fields = []
    for key, value in figures.items():
        text = json.dumps(value)
        if isinstance(value, list):
            text = "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n ]"
        fields.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"
