"""Fills the tables of docs/measurements/tile.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

from typing import Any

from tables import DEMOS, DOCS, fill, markdown, measured, update


def tile_demo_table(results: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("", list(DEMOS.values())),
        *(
            (f"accuracy, {step}", [f"{result['accuracy'][step]:.2%}" for result in results])
            for step in ("dense", "pruned", "sparse", "golden")
        ),
        ("images on RTL", [f"{result['images']:,}" for result in results]),
        ("cycles per image", [f"{result['cycles_per_image']['mean']:,.0f}" for result in results]),
        ("utilisation", [f"{result['utilisation']:.1%}" for result in results]),
        ("values different from the golden model", [str(result["mismatches"]) for result in results]),
        ("cycles equal to the cycle model", ["all" if result["cycle_model_equal"] else "no" for result in results]),
        ("seconds, training to the last image", [f"{result['seconds']:.0f}" for result in results]),
    ]
    return markdown([[name, *cells] for name, cells in rows])


def gemm_table(result: dict[str, Any]) -> str:
    rows = [["product", "dense cycles", "2:4 cycles", "speedup", "utilisation", "transfers, dense and 2:4"]]
    for row in result["gemms"]:
        assert row["equal"], row["name"]
        transfers = f"{row['dense_transfers']:,}, {row['sparse_transfers']:,}"
        rows.append([row["name"], *_cycles(row), f"{row['utilisation']:.2%}", transfers])
    rows += [[f"{row['name']}, whole", *_cycles(row), "", ""] for row in result["networks"]]
    return markdown(rows)


def _cycles(row: dict[str, Any]) -> list[str]:
    return [f"{row['dense_cycles']:,}", f"{row['sparse_cycles']:,}", f"{row['speedup']:.3f}"]


def lut_table(result: dict[str, Any]) -> str:
    rows = [["format", "tile", "LUTs, sparse", "LUTs, dense only", "overhead", "multipliers in each"]]
    for row in result["luts"]:
        assert row["same_multipliers"]
        sizes = [f"{row['sparse']:,}", f"{row['dense']:,}", f"{row['overhead']:.1%}"]
        tile = " x ".join(map(str, row["tile"]))
        rows.append([f"{row['format']}, {row['generation']}", tile, *sizes, f"{row['multipliers']:,}"])
    return markdown(rows)


def format_table(result: dict[str, Any]) -> str:
    generations = list(dict.fromkeys(row["generation"] for row in result["formats"]))
    rows = [["blocks on RTL, different sums", *generations]]
    for name in dict.fromkeys(row["format"] for row in result["formats"]):
        of_format = {row["generation"]: row for row in result["formats"] if row["format"] == name}
        cells = [
            f"{of_format[name]['blocks']:,}, {of_format[name]['mismatches']}" if name in of_format else ""
            for name in generations
        ]
        rows.append([name, *cells])
    return markdown(rows)


def permutation_table(result: dict[str, Any]) -> str:
    found = result["permutation"]
    published = found["published"]
    return markdown(
        [
            [
                f"{found['rows']} x {found['columns']} weights",
                "magnitude kept",
                "loss recovered",
                "seconds",
            ],
            ["no pruning", f"{found['total']:.1f}", "", ""],
            ["2:4, original order", f"{found['without']:.1f}", "", ""],
            ["2:4, permuted order", f"{found['with']:.1f}", f"{found['efficacy']:.1%}", f"{found['seconds']:.2f}"],
            [
                "published (apex, stripe groups of 8, on a CPU)",
                f"{published['kept']:.1f}",
                f"{published['efficacy']:.1%}",
                f"{published['seconds']:.2f}",
            ],
        ]
    )


def filled(page: str) -> str:
    """The page with each table between its two marks."""
    bench = measured("bench-mma")
    tables = {
        "gemms": gemm_table(bench),
        "luts": lut_table(bench),
        "formats": format_table(bench),
        "tile demos": tile_demo_table([measured(f"{name}-mma") for name in DEMOS]),
        "permutation": permutation_table(bench),
    }
    for name, table in tables.items():
        page = fill(page, f"measured: {name}", table)
    return page


if __name__ == "__main__":
    update(DOCS / "measurements/tile.md", filled)
