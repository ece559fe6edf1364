"""Fills the tables of docs/measurements/search.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

import statistics
import sys
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from tables import DOCS, fill, markdown, measured, update

from zeroskip.model.search.views.compared import of_comparison
from zeroskip.model.search.views.pictures import save_picture, style

PAGE = DOCS / "measurements/search.md"
COMPARED = {
    "compare-plain-channels": "Plain-20 of a quarter of the width, channels",
    "compare-resnet-channels": "ResNet-20 of a quarter of the width, channels",
    "compare-resnet-cycles": "ResNet-20 of a quarter of the width, channels",
    "compare-mobilenet-channels": "MobileNetV1 of a quarter of the width, channels",
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

LEARNED = {
    "plain-channels": "Plain-20, half the MACs",
    "lenet-cycles": "LeNet-5, a quarter of the cycles",
    "lenet-weights": "LeNet-5, 5% of the weights",
}
"""The searches of AMC in search-learning.json (keep_learning.py), and what they search on."""
LINES = {"compare-lenet-lines-mma": "LeNet-5, channels", "compare-lenet-lines-eie": "LeNet-5, single weights"}
"""Files of `zeroskip search compare --budgets`, and what they compare on."""
FITTED = {
    "plain-channels": "Plain-20, channels, half the MACs",
    "resnet-channels": "ResNet-20, channels, half the MACs",
    "lenet-weights": "LeNet-5, 5% of the weights",
    "lenet-nm": "LeNet-5, 2:4 wherever it can be",
    "plain-nm": "Plain-20, 2:4 wherever it can be",
}
"""The plans in fit.json."""
WAYS = ("neither", "fit", "fit and order")
SOURCES = ("random", "neighbour", "agent")
WINDOW, FEWEST = 20, 5
"""The plans of a source that a learning curve averages, and those with which it begins."""


def comparison(name: str, result: dict[str, Any]) -> str:
    samples, settings = result["samples"], result["settings"]
    step = "the default" if settings["step"] is None else f"{settings['step']:.0%} of the cost"
    where = "" if settings.get("device", "cpu") == "cpu" else " Networks ran on a GPU."
    core = ", ".join(f"{size} {field}" for field, size in result["sizes"].items())
    adapted = f"; first step of NetAdapt: {step}" if "netadapt" in result["budgets"][0]["policies"] else ""
    head = (
        f"{COMPARED[name]}{core and ', '}{core}: dense accuracy {result['dense']:.2%}, {samples['train']:,} training "
        f"and {samples['test']:,} test images. Seeds of search: {settings['seeds']}; fine-tunings of each plan: "
        f"{settings['tunings']}; epochs of each: {settings['epochs']}; episodes of AMC: {settings['episodes']}"
        f"{adapted}.{where}"
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


def lines(name: str, result: dict[str, Any]) -> str:
    """The accuracies before and after fine-tuning of each method at each budget."""
    settings, core = result["settings"], ", ".join(f"{size} {field}" for field, size in result["sizes"].items())
    head = (
        f"{LINES[name]}, {core}: dense accuracy {result['dense']:.2%}. Seeds of search: {settings['seeds']}; "
        f"fine-tunings of each plan: {settings['tunings']}; episodes of AMC: {settings['episodes']}. Before -> after "
        f"fine-tuning, at budgets of the dense {result['cost']}:"
    )
    rows = [["", *(f"{one['budget']:.0%}" for one in result["budgets"])]]
    for policy in result["budgets"][0]["policies"]:
        found = [one["policies"][policy] for one in result["budgets"]]
        rows.append([policy, *(f"{one['before']:.2%} -> {one['after']:.2%}" for one in found)])
    return f"{head}\n\n{markdown(rows)}\n"


def fit(plans: dict[str, Any]) -> str:
    """The accuracies of each plan before and after fine-tuning, each way."""
    rows = [["uniform plan", *WAYS, *(f"{way}, fine-tuned" for way in WAYS)]]
    for name, title in FITTED.items():
        ways = plans[name]["ways"]
        before = [f"{ways[way]['before']:.2%}" if way in ways else "" for way in WAYS]
        after = [f"{ways[way]['after']:.2%} ± {ways[way]['std']:.2%}" if way in ways else "" for way in WAYS]
        rows.append([title, *before, *after])
    return markdown(rows)


def learning(searches: dict[str, list[dict[str, Any]]]) -> str:
    """A row for each search of AMC: the mean accuracies by source, and who improved on all plans before."""
    titles = [f"{source}, mean" for source in SOURCES]
    rows = [["", "seed", "episodes", *titles, f"agent, last {WINDOW}", "improved: agent, neighbours"]]
    for name, title in LEARNED.items():
        for search in searches[name]:
            by_source = {source: [one[1] for one in search["episodes"] if one[0] == source] for source in SOURCES}
            means = [f"{statistics.mean(by_source[source]):.2%}" for source in SOURCES]
            last = f"{statistics.mean(by_source['agent'][-WINDOW:]):.2%}"
            better = _improved(search["episodes"])
            improved = f"{better.count('agent')}, {better.count('neighbour')}"
            rows.append([title, str(search["seed"]), str(len(search["episodes"])), *means, last, improved])
    return markdown(rows)


def _improved(episodes: list[Any]) -> list[str]:
    """The sources of the plans, from the agent's first one on, that had less loss than all before."""
    begun = [source for source, *_ in episodes].index("agent")
    losses = [loss for *_, loss in episodes]
    return [source for at, (source, _, loss) in enumerate(episodes) if at >= begun and loss < min(losses[:at])]


def of_learning(searches: dict[str, list[dict[str, Any]]]) -> Figure:
    """Means over the last WINDOW plans of a source, or all if they are fewer, and over the seeds, by the number of its
    plans."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panels = figure.subplots(1, len(LEARNED))
    for axes, (name, title) in zip(panels, LEARNED.items(), strict=True):
        for source in SOURCES:
            curves = [
                [statistics.mean(mine[max(at - WINDOW, 0) : at]) for at in range(FEWEST, len(mine) + 1)]
                for mine in ([one[1] for one in search["episodes"] if one[0] == source] for search in searches[name])
            ]
            shortest = min(map(len, curves))
            means = [statistics.mean(curve[at] for curve in curves) for at in range(shortest)]
            axes.plot(range(FEWEST, FEWEST + shortest), means, linewidth=1.6, label=source)
        axes.set_title(
            f"{title} ({len(searches[name])} seeds)".replace("(1 seeds)", "(1 seed)"), fontsize=9, loc="left"
        )
        axes.set_xlabel("plans of the source")
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=1))
        style(axes)
    panels[0].set_ylabel("accuracy on the validation images")
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def filled(page: str) -> str:
    """The page with the tables between their marks. Raises FileNotFoundError where a command has not been run."""
    compared = [comparison(name, measured(name)) for name in COMPARED]
    searched = [bench(name, measured(name)) for name in SEARCHED]
    page = fill(fill(page, "compare", "\n".join(compared)), "bench", "\n".join(searched))
    page = fill(page, "lines", "\n".join(lines(name, measured(name)) for name in LINES))
    page = fill(page, "fit", fit(measured("fit")))
    return fill(page, "learning", learning(measured("search-learning")))


if __name__ == "__main__":
    update(PAGE, filled)
    if "--check" not in sys.argv[1:]:
        compared = measured("compare-plain-channels")
        picture = of_comparison(compared["budgets"], compared["dense"], compared["cost"])
        save_picture(picture, DOCS / "images/search.png")
        for name in LINES:
            result = measured(name)
            picture = of_comparison(result["budgets"], result["dense"], result["cost"])
            save_picture(picture, DOCS / f"images/{name}.png")
        save_picture(of_learning(measured("search-learning")), DOCS / "images/search-learning.png")
