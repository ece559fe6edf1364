"""Fills the result table of the README from docs/measured, so that no figure is typed."""

from __future__ import annotations

from typing import Any

from tables import DEMOS, ROOT, fill, markdown, measured, update


def demo_table(results: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("", list(DEMOS.values())),
        ("test images on RTL", [f"{result['images']:,}" for result in results]),
        ("processing elements", [str(result["geometry"]["pes"]) for result in results]),
        *(
            (f"accuracy, {step}", [f"{result['accuracy'][step]:.2%}" for result in results])
            for step in ("dense", "pruned", "shared")
        ),
        # Where not all test images ran on the RTL, the golden model, whose every bit it equals, ran the rest.
        ("accuracy, hardware", [f"{_hardware(result['accuracy']):.2%}" for result in results]),
        ("compression ratio, weights", [f"{result['weights']['ratio']:.1f}x" for result in results]),
        ("compression ratio, bits of 32-bit floats", [f"{result['bits']['ratio']:.1f}x" for result in results]),
        ("cycles per image, mean", [f"{result['cycles_per_image']['mean']:,.0f}" for result in results]),
        ("utilisation of the multipliers", [f"{result['utilisation']:.0%}" for result in results]),
        ("outputs that differ from the golden model", [str(result["mismatches"]) for result in results]),
        ("cycles equal to the cycle model", ["all" if result["cycle_model_equal"] else "no" for result in results]),
        ("seconds, training to report", [f"{result['seconds']:.0f}" for result in results]),
    ]
    return markdown([[name, *cells] for name, cells in rows])


def _hardware(accuracy: dict[str, float]) -> float:
    return accuracy["hardware"] if "hardware" in accuracy else accuracy["golden"]


def filled(readme: str) -> str:
    """The README with the table between its marks."""
    return fill(readme, "measured: demos", demo_table([measured(name) for name in DEMOS]))


if __name__ == "__main__":
    update(ROOT / "README.md", filled)
