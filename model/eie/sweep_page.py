"""The page about the plots of the sweeps, in Markdown."""

from __future__ import annotations

from zeroskip.model.eie.paper_layers import PAPER_LAYERS
from zeroskip.model.eie.sweep_plots import Result, gain, layer_names

CLOCK_MHZ = 800
"""The paper's clock, at which cycles become the microseconds of its Table IV."""


def _table(result: Result) -> str:
    lines = ["| layer | size | cycles | us at 800 MHz | paper: actual | paper: theoretical | utilisation |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    rows = {row["layer"]: row for row in result["pes"] if row["pes"] == result["fixed"]["pes"]}
    for layer in result["layers"]:
        row = rows[layer["layer"]]
        cells = (
            f"{layer['inputs']} -> {layer['outputs']}",
            f"{row['cycles']:,}",
            f"{row['cycles'] / CLOCK_MHZ:.1f}",
            f"{layer['paper_actual_us']:.1f}",
            f"{layer['paper_theoretical_us']:.1f}",
            f"{row['utilisation']:.1%}",
        )
        lines.append(f"| {layer['layer']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _least_storage(result: Result) -> str:
    """The width at which each layer takes the least bits."""
    best: dict[int, list[str]] = {}
    for name in layer_names(result):
        rows = [row for row in result["index_bits"] if row["layer"] == name]
        best.setdefault(min(rows, key=lambda row: row["total_bits"])["index_bits"], []).append(name)
    return "; ".join(f"{bits} for {', '.join(best[bits])}" for bits in sorted(best))


def _bound(result: Result) -> str:
    """Which layers have too few weights in a column to keep all PEs busy at one broadcast a cycle."""
    pes = max(row["pes"] for row in result["pes"])
    weights = {layer["layer"]: layer["work"] / layer["active_columns"] for layer in result["layers"]}
    bound = ", ".join(f"{name} {weights[name]:.0f}" for name in weights if weights[name] < pes)
    return bound or f"here {pes} or more"


PAGE = """# Sweeps of the EIE array

Written by `zeroskip sweep eie{options}`, not by hand; the data are in [sweeps.json]({folder}/sweeps.json).

Figures 8, 9, 11, 12 and 13 of the EIE paper (Han et al., ISCA 2016), drawn again with this design. All cycles come
from `zeroskip.model.eie.cycles`; the co-simulation asserts that the RTL takes exactly these cycles. Parameters that
a sweep does not vary are the paper's: {pes} PEs, queues of {depth} columns, words of {word} bits, {index}-bit
counts of zeros.

- **This design**: all lines, dots and bars. The layers have the sizes and densities of the paper's Table III. Their
  weights and activations are random (seed {seed}) and independent of one another, because the paper's own were
  never published. Row i is stored in PE i mod N, as in the paper. Layers with the same density and height, such as
  Alex-6 and Alex-7, have nearly the same line.
- **The paper**: the crosses and everything marked *paper*, taken from its text and its Table IV. The heights of its
  bars are in neither, so they are not drawn.
- **Utilisation** is the work divided by (PEs x cycles), where a unit of work is one weight in a column whose
  activation is not zero. The paper's *load balance* is one minus the fraction of idle cycles, and padding entries
  count as work. Here they do not count, and most of them cost no cycle.
- **Cycles** are those of the layer. A run takes one more, the cycle in which the array accepts `start`:
  `zeroskip bench eie` counts it.

## As built

One input vector on {pes} PEs. The clock of 800 MHz is the paper's: the microseconds compare cycle counts and do not
say how fast this design can be clocked.

{table}

## Figure 8: queue depth

![Utilisation against queue depth]({folder}/figure-08-queue-depth.svg)

With queues of one column, {idle_1} of all cycles do no work (geometric mean); the paper says about half. Depth
{depth} brings utilisation to {depth_built}, depth 256 to {depth_256}. The worst at depth {depth} is {worst}. On
the right, the crosses are the theoretical time divided by the actual time in Table IV.

## Figure 9: word width

![Reads of the sparse-matrix memories against word width]({folder}/figure-09-word-width.svg)

The paper multiplies the number of reads by the energy of a read and finds the minimum at 64 bits. Its energies
(CACTI, 45 nm) are not in its text. The plots therefore show the two extremes: the energy of a read does not depend
on its width, or it is proportional to it. From 32 to 64 bits, reads fall by {reads_64} and bits grow by {bits_64};
from 64 to 128, reads fall by {reads_128} and bits grow by {bits_128} (geometric means). A PE reads each word that
contains entries of a column, and reads it again for the next column.

## Figure 11: speed-up

![Speed-up against processing elements]({folder}/figure-11-speed-up.svg)

The speed-up is relative to one PE of this design, which loses almost no cycles to padding. It is {speedup_64} at 64
PEs and {speedup_256} at 256 (geometric means): 256 PEs have {gain} times the throughput of 64, in the paper 3.25
times. A column takes at least one cycle, so on average at most as many PEs are busy as a column has weights:
{bound}.

## Figure 12: padding

![Weights of all entries read against processing elements]({folder}/figure-12-padding.svg)

With more PEs, each PE has fewer rows and shorter runs of zeros. The share of weights among the entries read is
{real_1} with one PE, {real_64} with 64 and {real_256} with 256 (geometric means). The paper's figure rises in the
same way, because the format is the same.

## Figure 13: load balance

![Utilisation against processing elements]({folder}/figure-13-load-balance.svg)

The fewer entries of a column each PE has, the more their numbers differ. The utilisation is {balance_1} with one
PE, {balance_64} with 64 and {balance_256} with 256 (geometric means). The paper's figure falls in the same way. The
crosses of Table IV are in figure 8.

## Index bits and storage

![Storage against index bits]({folder}/index-bits.svg)

Narrow counts of zeros need padding entries; wide counts need more bits in every entry. With {code}-bit codes on
{pes} PEs, the geometric mean of the storage is smallest with {least} index bits. The paper's 4 bits take {four}
more. The best width of each layer: {least_each}. Pointers have the width that the sparse-matrix memory needs, with
its number of words rounded up to a power of two.
"""


def page(result: Result, folder: str) -> str:
    """The page about the plots, in Markdown; every figure in it comes from `result`, or is quoted from the paper."""
    fixed = result["fixed"]
    mean = {name: {row[name]: row for row in rows} for name, rows in result["geomean"].items()}
    depths, words, pes = mean["queue_depth"], mean["word_bits"], mean["pes"]
    bits = {width: row["total_bits"] for width, row in mean["index_bits"].items()}
    built = [row for row in result["queue_depth"] if row["queue_depth"] == fixed["queue_depth"]]
    worst = min(built, key=lambda row: row["utilisation"])
    least = min(bits, key=lambda width: bits[width])
    arguments = f" --seed {result['seed']}" if result["seed"] else ""
    if len(result["layers"]) < len(PAPER_LAYERS):
        arguments += f" --layers {','.join(layer_names(result))}"
    facts = {
        "idle_1": f"{1 - depths[1]['utilisation']:.0%}",
        "depth_built": f"{depths[fixed['queue_depth']]['utilisation']:.1%}",
        "depth_256": f"{depths[256]['utilisation']:.1%}",
        "worst": f"{worst['layer']} with {worst['utilisation']:.1%}",
        "gain": f"{gain(result):.2f}",
        "bound": _bound(result),
        "least": least,
        "four": f"{bits[4] / bits[least] - 1:.1%}",
        "least_each": _least_storage(result),
    }
    for width in (64, 128):
        facts[f"reads_{width}"] = f"{1 - words[width]['reads'] / words[width // 2]['reads']:.0%}"
        facts[f"bits_{width}"] = f"{words[width]['bits_read'] / words[width // 2]['bits_read'] - 1:.0%}"
    for count in (1, 64, 256):
        facts[f"speedup_{count}"] = f"{pes[count]['speedup']:.1f}"
        facts[f"real_{count}"] = f"{pes[count]['real_work']:.1%}"
        facts[f"balance_{count}"] = f"{pes[count]['utilisation']:.1%}"
    return PAGE.format(
        options=arguments,
        folder=folder,
        seed=result["seed"],
        pes=fixed["pes"],
        depth=fixed["queue_depth"],
        word=fixed["word_bits"],
        index=fixed["index_bits"],
        code=fixed["code_bits"],
        table=_table(result),
        **facts,
    )
