"""Fills the table of docs/measurements/eie.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

from typing import Any

from tables import DOCS, fill, markdown, measured, update


def bench_table(plain: dict[str, Any], balanced: dict[str, Any]) -> str:
    heads = ["layer", "cycles", "µs at 800 MHz", "paper, actual", "ratio", "utilisation"]
    heads += ["load balanced", "torch dense", "CSR"]
    rows = [heads]
    for row, other in zip(plain["layers"], balanced["layers"], strict=True):
        assert row["golden_equal"], row["name"]
        assert row["cycle_model_equal"], row["name"]
        rows.append(
            [
                row["name"],
                f"{row['cycles']:,}",
                f"{row['microseconds']:.2f}",
                f"{row['paper_actual']:.1f}",
                f"{row['ratio']:.3f}",
                f"{row['utilisation']:.1%}",
                f"{other['cycles']:,} ({other['ratio']:.3f})",
                f"{row['reference']['torch_dense']:,.0f} µs",
                f"{row['reference']['scipy_csr']:,.0f} µs",
            ]
        )
    rows.append(
        [
            *("geometric mean", "", "", ""),
            f"{plain['geomean_ratio']:.3f}",
            f"{plain['geomean_utilisation']:.1%}",
            *(f"({balanced['geomean_ratio']:.3f})", "", ""),
        ]
    )
    return markdown(rows)


def filled(page: str) -> str:
    """The page with the table between its marks."""
    return fill(page, "measured: bench eie", bench_table(measured("bench-eie"), measured("bench-eie-balanced")))


if __name__ == "__main__":
    update(DOCS / "measurements/eie.md", filled)
