"""The report on one layer that ran on the mapping unit: a single, self-contained HTML page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from zeroskip.cosim.mapping.play import LayerRun
from zeroskip.cosim.report.blocks import bar, bars, percent, section, table, tile
from zeroskip.model.files import replacing
from zeroskip.model.sources import PACKAGE


def write_report(path: Path, *, title: str, run: LayerRun) -> None:
    """Writes the page; an existing file is replaced completely or not at all. The same arguments give the same
    bytes."""
    template = Template((PACKAGE / "cosim/report/page.html").read_text(encoding="utf-8"))
    page = template.substitute(title=escape(title), body="\n".join([_summary(title, run), _cycles(run), _offsets(run)]))
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def _summary(title: str, run: LayerRun) -> str:
    wrong = run.mismatches or run.disordered
    note = "numbers differ from the golden model's" if wrong else "every number equals the golden model's"
    tiles = [
        tile("Triples", f"{len(run.triples):,}", f"of {len(run.plan.moves):,} offsets"),
        tile("Mismatches", f"{run.mismatches:,}", note, kind="bad" if wrong else "good"),
        tile("Cycle model", "equal" if run.cycle_model_equal else "not equal", "the cycles of every job"),
        tile("Points", f"{len(run.plan.inputs.found):,}", f"inputs; {len(run.outputs):,} outputs"),
        tile("Cycles", f"{run.cycles:,}", "of all jobs, without loading"),
        tile("Utilisation", percent(run.utilisation), "keys merged / (width x cycles of the map)"),
    ]
    return (
        f"<h1>{escape(title)}</h1>\n"
        '<p class="soft">The kernel map of a layer of a sparse convolution, found by a mapping unit that sorts and '
        f"merges {run.plan.geometry.width} keys a cycle. All cycles on this page were counted in a simulation of the "
        "hardware description (RTL).</p>\n"
        f'<div class="tiles">{"".join(tiles)}</div>\n'
    )


def _cycles(run: LayerRun) -> str:
    sorts = ["Sorting the inputs", "Sorting the outputs"][: len(run.sort_cycles)]
    names = [*sorts, "Finding the map"]
    counts = [*run.sort_cycles, run.map_cycles]
    total = max(1, run.cycles)
    drawn = [
        bar(name, [("busy", count / max(counts))], f"{count:,}") for name, count in zip(names, counts, strict=True)
    ]
    rows = [[name, f"{count:,}", percent(count / total)] for name, count in zip(names, counts, strict=True)]
    return section(
        "Cycles",
        f"What each job takes. {run.transfers:,} transfers, one a cycle, load the points and the offsets before, and "
        "read the sorted lists.",
        bars(drawn, "Cycles of each job."),
        table(["Job", "Cycles", "Share"], rows, ["all", f"{run.cycles:,}", percent(1)]),
    )


def _offsets(run: LayerRun) -> str:
    pairs = run.pairs.tolist()
    most, outputs = max(1, *pairs), max(1, len(run.outputs))
    names = ["(" + ", ".join(str(c) for c in offset) + ")" for offset in run.plan.offsets.tolist()]
    drawn = [
        bar(name, [("busy", count / most)], f"{count:,} ({percent(count / outputs)})")
        for name, count in zip(names, pairs, strict=True)
    ]
    return section(
        "Triples of each offset",
        "How many outputs have an input at each offset: the sizes of the matrix products of the layer.",
        bars(drawn, "Triples, and their share of the outputs."),
    )
