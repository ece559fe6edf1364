"""The report on one run of a compiled network: a single, self-contained HTML page.

The frame and the style are in page.html. The core's driver provides the core's own sections.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.report.accuracy import accuracy_section
from zeroskip.cosim.report.blocks import percent, tile
from zeroskip.model.cores import load_core
from zeroskip.model.files import replacing

if TYPE_CHECKING:
    from zeroskip.cosim.verify import Verification


@dataclass(frozen=True, kw_only=True)
class CoreSections:
    """A core's part of the page. `introduction` is text that describes the hardware; `utilisation` explains how that
    rate is counted. `tiles` and `sections` are HTML (zeroskip.cosim.report.blocks)."""

    introduction: str
    utilisation: str
    tiles: list[str]
    sections: list[str]


def write_report(
    path: Path,
    *,
    title: str,
    verification: Verification,
    accuracy: dict[str, float] | None,
    facts: dict[str, str],
) -> None:
    """Writes the page; an existing file is replaced completely or not at all.

    `accuracy` maps steps of the flow (zeroskip.cosim.report.accuracy.STEPS) to fractions of one, in order; if it is
    empty, the section is left out. `facts` are rows of the summary. The same arguments give the same bytes. Raises
    ValueError if the run has no image.
    """
    if verification.images == 0:
        raise ValueError("a report needs a run of at least one image, not of none")
    core = load_driver(verification.core).sections(verification)
    parts = [
        _summary(title, verification, core),
        _facts(facts),
        accuracy_section(accuracy) if accuracy else "",
        *core.sections,
    ]
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    page = template.substitute(title=escape(title), body="\n".join(parts))
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def _summary(title: str, verification: Verification, core: CoreSections) -> str:
    figures = verification.summary()
    counts, mismatches = figures["cycles_per_image"], verification.mismatches
    note = "outputs differ from the golden model's" if mismatches else "every output equals the golden model's"
    low, high = counts["min"], counts["max"]
    spread = f"from {low:,.0f} to {high:,.0f}" if low != high else "the same for each"
    stored = load_core(verification.core).stored_bits(verification.network)
    tiles = [
        tile("Images", f"{verification.images:,}", "run on the simulated hardware"),
        tile("Mismatches", f"{mismatches:,}", note, kind="bad" if mismatches else "good"),
        tile("Mean cycles per image", f"{counts['mean']:,.1f}", spread),
        tile("Utilisation", percent(figures["utilisation"]), core.utilisation),
        *core.tiles,
        tile("Storage ratio", f"{stored.ratio:.1f}x", "smaller than as dense 32-bit floats"),
    ]
    return (
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="soft">{escape(core.introduction)} All cycles on this page were counted in a simulation of the '
        "hardware description (RTL).</p>\n"
        f'<div class="tiles">{"".join(tiles)}</div>\n'
    )


def _facts(facts: dict[str, str]) -> str:
    if not facts:
        return ""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    return f'<section><h2>This run</h2><table class="facts"><tbody>{rows}</tbody></table></section>'
