"""Fills the tables of docs/measurements/search.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

import sys
from typing import Any

from tables import DOCS, fill, markdown, measured, update

from zeroskip.model.search.views.compared import of_comparison
from zeroskip.model.search.views.pictures import save_picture

PAGE = DOCS / "measurements/search.md"
COMPARED = {
    "compare-plain-channels": "Plain-20 of a quarter of the width, channels",
    "compare-resnet-channels": "ResNet-20 of a quarter of the width, channels",
    "compare-lenet-cycles": "LeNet-5, single weights",
    "compare-lenet-weights": "LeNet-5, single weights",
    "compare-lenet-nm": "LeNet-5, 2:4",
}
"""Files of `zeroskip search compare` on Fashion-MNIST, and what they compare on."""
SEARCHED = {
    "bench-search-channels": "LeNet-5, channels",
    "bench-search-channels-16": "LeNet-5, channels",
    "bench-search-weights": "LeNet-5, single weights",
}
"""Files of `zeroskip bench search` on Fashion-MNIST, and what they search on."""


def comparison(name: str, result: dict[str, Any]) -> str:
    samples, settings = result["samples"], result["settings"]
    step = "the default" if settings["step"] is None else f"{settings['step']:.0%} of the cost"
    core = ", ".join(f"{size} {field}" for field, size in result["sizes"].items())
    head = (
        f"{COMPARED[name]}{core and ', '}{core}: dense accuracy {result['dense']:.2%}, {samples['train']:,} training "
        f"and {samples['test']:,} test images. Seeds of search: {settings['seeds']}; fine-tunings of each plan: "
        f"{settings['tunings']}; epochs of each: {settings['epochs']}; episodes of AMC: {settings['episodes']}; first "
        f"step of NetAdapt: {step}."
    )
    tables = []
    for one in result["budgets"]:
        rows = [["", "cost", "accuracy before", "after fine-tuning", "search, CPU seconds", "not evaluation"]]
        for policy, found in one["policies"].items():
            cost = found["cost"] if found["exact"] is None else found["exact"]
            before = f"{found['before']:.2%} ± {found['std_before']:.2%}"
            after = f"{found['after']:.2%} ± {found['std']:.2%}"
            seconds = "" if found["seconds"] is None else f"{found['seconds']:.1f}"
            rest = "" if found["overhead"] is None else f"{found['overhead']:.1%}"
            rows.append([policy, f"{cost:.1%}", before, after, seconds, rest])
        if not any(row[4] for row in rows[1:]):
            rows = [row[:4] for row in rows]
        tables.append(f"Budget {one['budget']:.0%} of the dense {result['cost']}:\n\n{markdown(rows)}")
    return f"{head}\n\n" + "\n\n".join(tables) + "\n"


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
        compared = measured("compare-plain-channels")
        picture = of_comparison(compared["budgets"], compared["dense"], compared["cost"])
        save_picture(picture, DOCS / "images/search.png")
