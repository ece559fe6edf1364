"""Fills the tables of docs/measurements/search.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

import sys
from typing import Any

from tables import DOCS, fill, markdown, measured, update

from zeroskip.model.search.views.compared import of_comparison
from zeroskip.model.search.views.pictures import save_picture

PAGE = DOCS / "measurements/search.md"
COMPARED = {
    "compare-plain-20": "Plain-20 (width 0.25), channels",
    "compare-lenet-5-channels": "LeNet-5, channels",
    "compare-lenet-5-weights": "LeNet-5, single weights",
}
"""Files of `zeroskip search compare` on Fashion-MNIST, and what they compare on."""
SEARCHED = {
    "bench-search-channels": "LeNet-5, channels",
    "bench-search-channels-16": "LeNet-5, channels",
    "bench-search-weights": "LeNet-5, single weights",
}
"""Files of `zeroskip bench search` on Fashion-MNIST, and what they search on."""


def comparison(name: str, result: dict[str, Any]) -> str:
    head = (
        f"{COMPARED[name]}: budget {result['budget']:.0%} of the dense {result['cost']}, "
        f"dense accuracy {result['dense']:.2%}."
    )
    whole = ["whole network"] if result["policies"]["uniform"].get("exact") else []
    rows = [["policy", "cost", *whole, "accuracy before", "after fine-tuning", "search seconds"]]
    for policy, found in result["policies"].items():
        before = f"{found['before']:.2%} ± {found['std_before']:.2%}"
        after = f"{found['after']:.2%} ± {found['std']:.2%}"
        exact = [f"{found['exact']:.1%}"] if whole else []
        rows.append([policy, f"{found['cost']:.1%}", *exact, before, after, f"{found['seconds']:.0f}"])
    return f"{head}\n\n{markdown(rows)}\n"


def bench(name: str, result: dict[str, Any]) -> str:
    accuracy = result["plans"][0]["accuracy"]["dense"]
    head = (
        f"{SEARCHED[name]}, {result['pes']} PEs: {result['budget']:.0%} of the dense EIE cycles for the first plan, "
        f"dense accuracy {accuracy:.2%}."
    )
    rows = [
        [
            "search cost",
            "density",
            "MACs / dense",
            "RTL cycles per image",
            "cycles / first plan",
            "accuracy after fine-tuning",
        ]
    ]
    for plan in result["plans"]:
        assert plan["mismatches"] == 0, plan["cost"]
        assert plan["cycle_model_equal"], plan["cost"]
        after = f"{plan['accuracy']['after']:.2%} ± {plan['accuracy']['std']:.2%}"
        cycles = f"{plan['rtl_cycles']:,.0f}"
        macs = f"{plan['costs']['macs']:.1%}"
        rows.append([plan["cost"], f"{plan['kept']:.2%}", macs, cycles, f"{plan['cycles_ratio']:.2f}", after])
    return f"{head}\n\n{markdown(rows)}\n"


def filled(page: str) -> str:
    """The page with the tables between their marks. Raises FileNotFoundError where a command has not been run."""
    compared = [comparison(name, measured(name)) for name in COMPARED]
    searched = [bench(name, measured(name)) for name in SEARCHED]
    return fill(fill(page, "compare", "\n".join(compared)), "bench", "\n".join(searched))


if __name__ == "__main__":
    update(PAGE, filled)
    if "--check" not in sys.argv[1:]:
        compared = measured("compare-lenet-5-weights")
        save_picture(of_comparison([compared], compared["dense"], compared["cost"]), DOCS / "images/search.png")
