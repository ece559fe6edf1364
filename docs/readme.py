"""Fills the tables of the README from the JSON of the commands (docs/measured), so that no figure is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tables import fill, markdown, update

ROOT = Path(__file__).parent.parent
DEMOS = {
    "digits": "digits, 64-300-100-10",
    "fashion-mnist": "Fashion-MNIST, LeNet-300-100",
    "lenet-5": "Fashion-MNIST, LeNet-5",
}


def demo_table(results: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("", [DEMOS[result["dataset"]] for result in results]),
        ("test images on RTL", [f"{result['images']:,}" for result in results]),
        ("processing elements", [str(result["pes"]) for result in results]),
        *(
            (f"accuracy, {step}", [f"{result['accuracy'][step]:.2%}" for result in results])
            for step in ("dense", "pruned", "shared")
        ),
        # Where not all test images ran on the RTL, the golden model, whose every bit it equals, ran the rest.
        ("accuracy, hardware", [f"{_hardware(result['accuracy']):.2%}" for result in results]),
        ("fewer weights", [f"{result['weights']['ratio']:.1f}x" for result in results]),
        ("fewer bits than 32-bit floats", [f"{result['bits']['ratio']:.1f}x" for result in results]),
        ("cycles an image, mean", [f"{result['cycles_per_image']['mean']:,.0f}" for result in results]),
        ("multipliers busy with a weight", [f"{result['utilisation']:.0%}" for result in results]),
        ("outputs that differ from the golden model", [str(result["mismatches"]) for result in results]),
        ("cycles equal to the cycle model", ["all" if result["cycle_model_equal"] else "no" for result in results]),
        ("seconds, from training to report", [f"{result['seconds']:.0f}" for result in results]),
    ]
    return markdown([[name, *cells] for name, cells in rows])


def _hardware(accuracy: dict[str, float]) -> float:
    return accuracy["hardware"] if "hardware" in accuracy else accuracy["golden"]


def bench_table(plain: dict[str, Any], even: dict[str, Any]) -> str:
    heads = ["layer", "cycles", "µs at 800 MHz", "paper, actual", "ratio", "busy"]
    heads += ["rows evened out", "torch dense", "CSR"]
    rows = [heads]
    for row, evened in zip(plain["layers"], even["layers"], strict=True):
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
                f"{evened['cycles']:,} ({evened['ratio']:.3f})",
                f"{row['reference']['torch_dense']:,.0f} µs",
                f"{row['reference']['scipy_csr']:,.0f} µs",
            ]
        )
    rows.append(
        [
            *("geometric mean", "", "", ""),
            f"{plain['geomean_ratio']:.3f}",
            f"{plain['geomean_utilisation']:.1%}",
            *(f"({even['geomean_ratio']:.3f})", "", ""),
        ]
    )
    return markdown(rows)


def tile_demo_table(results: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("", [DEMOS[result["dataset"]] for result in results]),
        *(
            (f"accuracy, {step}", [f"{result['accuracy'][step]:.2%}" for result in results])
            for step in ("dense", "pruned", "sparse", "golden")
        ),
        ("images on RTL", [f"{result['images']:,}" for result in results]),
        ("cycles an image", [f"{result['cycles_per_image']:,.0f}" for result in results]),
        ("multipliers busy", [f"{result['utilisation']:.1%}" for result in results]),
        ("values that differ from the golden model", [str(result["mismatches"]) for result in results]),
        ("cycles equal to the cycle model", ["all" if result["cycle_model_equal"] else "no" for result in results]),
        ("seconds, from training to the last image", [f"{result['seconds']:.0f}" for result in results]),
    ]
    return markdown([[name, *cells] for name, cells in rows])


def gemm_table(result: dict[str, Any]) -> str:
    rows = [["product", "dense cycles", "2:4 cycles", "speedup", "multipliers busy", "transfers, dense and 2:4"]]
    for row in result["gemms"]:
        assert row["equal"], row["name"]
        transfers = f"{row['dense_transfers']:,}, {row['sparse_transfers']:,}"
        rows.append([row["name"], *_cycles(row), f"{row['rate']:.2%}", transfers])
    rows += [[f"{row['name']}, whole", *_cycles(row), "", ""] for row in result["networks"]]
    return markdown(rows)


def _cycles(row: dict[str, Any]) -> list[str]:
    return [f"{row['dense_cycles']:,}", f"{row['sparse_cycles']:,}", f"{row['speedup']:.3f}"]


def lut_table(result: dict[str, Any]) -> str:
    rows = [["format", "tile", "LUTs, sparse", "LUTs, dense only", "overhead", "multipliers of each"]]
    for row in result["luts"]:
        assert row["same_multipliers"]
        sizes = [f"{row['sparse']:,}", f"{row['dense']:,}", f"{row['overhead']:.1%}"]
        tile = " x ".join(map(str, row["tile"]))
        rows.append([f"{row['format']}, {row['generation']}", tile, *sizes, f"{row['multipliers']:,}"])
    return markdown(rows)


def format_table(result: dict[str, Any]) -> str:
    generations = ["V100", "A100", "Ada", "H100"]
    rows = [["blocks on RTL, sums that differ", *generations]]
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
            [f"{found['rows']} x {found['columns']} weights", "magnitude kept", "of the loss regained", "seconds"],
            ["all", f"{found['total']:.1f}", "", ""],
            ["2:4", f"{found['without']:.1f}", "", ""],
            ["permuted here", f"{found['with']:.1f}", f"{found['efficacy']:.1%}", f"{found['seconds']:.2f}"],
            [
                "published (apex, stripe groups of 8, on a CPU)",
                f"{published['kept']:.1f}",
                f"{published['efficacy']:.1%}",
                f"{published['seconds']:.2f}",
            ],
        ]
    )


def measured(name: str) -> dict[str, Any]:
    return json.loads((ROOT / f"docs/measured/{name}.json").read_text())


def filled(readme: str) -> str:
    """The README with each table between its two marks."""
    tables = {
        "demos": demo_table([measured(name) for name in DEMOS]),
        "tile demos": tile_demo_table([measured(f"{name}-mma") for name in DEMOS]),
        "gemms": gemm_table(measured("bench-mma")),
        "luts": lut_table(measured("bench-mma")),
        "formats": format_table(measured("bench-mma")),
        "permutation": permutation_table(measured("bench-mma")),
        "bench eie": bench_table(measured("bench-eie"), measured("bench-eie-balanced")),
    }
    for name, table in tables.items():
        readme = fill(readme, f"measured: {name}", table)
    return readme


if __name__ == "__main__":
    update(ROOT / "README.md", filled)
