"""HTML of the parts of the page: sections, tiles, tables and charts.

Charts are HTML and inline SVG that stretch to the width of the screen while their labels keep their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def percent(fraction: float, digits: int = 1) -> str:
    return f"{100 * fraction:,.{digits}f}%"


def in_bytes(bits: int) -> str:
    """Exact, so that the parts add up: eighths of a byte are shown if there are any."""
    return f"{bits / 8:,.3f}".rstrip("0").rstrip(".")


def section(heading: str, explanation: str, *parts: str) -> str:
    return f"<section><h2>{escape(heading)}</h2><p>{escape(explanation)}</p>\n{''.join(parts)}</section>"


def tile(name: str, figure: str, note: str, kind: str = "") -> str:
    return (
        f'<div class="tile {kind}"><div class="name">{escape(name)}</div>'
        f'<div class="figure">{escape(figure)}</div><div class="note">{escape(note)}</div></div>'
    )


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    total: Sequence[str] | None = None,
    *,
    worded: bool = False,
) -> str:
    """A table of figures named in the first column; where `worded` the last column holds text."""

    def cells(row: Sequence[str]) -> str:
        return f'<th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])

    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{cells(row)}</tr>\n" for row in rows)
    if total is not None:
        body += f'<tr class="total">{cells(total)}</tr>'
    kind = ' class="worded"' if worded else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bar(
    name: str,
    parts: Sequence[tuple[str, float]],
    value: str,
    whisker: tuple[float, float] | None = None,
) -> str:
    """A bar of `parts`, each a style class and a fraction of the full width."""
    fills = "".join(f'<i class="{kind}" style="width:{100 * share:.3f}%"></i>' for kind, share in parts)
    if whisker is not None:
        low, high = whisker
        fills += f'<b style="left:{100 * low:.3f}%;width:{100 * (high - low):.3f}%"></b>'
    return (
        f'<div><span class="name">{escape(name)}</span><span class="track">{fills}</span>'
        f'<span class="value">{escape(value)}</span></div>'
    )


def bars(bars: Sequence[str], caption: str) -> str:
    return f'<div class="bars">{"".join(bars)}</div><p class="caption">{escape(caption)}</p>'


def plot(
    height: int,
    rows: Sequence[tuple[float, str]],
    area: str,
    ticks: Sequence[tuple[float, str]],
    unit: str,
    above: str = "",
) -> str:
    """A chart with a row for each PE: labels are outside `area` and keep their size while it stretches."""
    row_labels = "".join(f'<span style="top:{100 * place:.3f}%">{label}</span>' for place, label in rows)
    tick_labels = "".join(f'<span style="left:{100 * place:.3f}%">{label}</span>' for place, label in ticks)
    return (
        f'<div class="plot">{above or "<div></div><div></div>"}<div class="rows">{row_labels}</div>'
        f'<div class="area" style="height:{height}px">{area}</div>'
        f'<div class="ticks">{tick_labels}</div><div class="unit">{escape(unit)}</div></div>'
    )
