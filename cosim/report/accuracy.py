"""The section of the report on accuracy, from the trained network to the hardware."""

from __future__ import annotations

from zeroskip.cosim.report.blocks import bar, bars, percent, section, table

STEPS = {
    "dense": "the network as it was trained",
    "pruned": "with its weak weights removed",
    "shared": "with the few values that all weights of a layer share",
    "sparse": "trained again, with the removed weights held at zero",
    "golden": "what the hardware computes in its own number formats, by its golden model",
    "hardware": "what the simulated hardware computed",
}


def accuracy_section(accuracy: dict[str, float]) -> str:
    first = next(iter(accuracy.values()))
    drawn: list[str] = []
    rows: list[list[str]] = []
    for name, value in accuracy.items():
        drawn.append(bar(name, [("busy", value)], percent(value, 2)))
        change = f"{100 * (value - first):+.2f}" if rows else ""
        rows.append([name, percent(value, 2), change, STEPS.get(name, "")])
    return section(
        "Accuracy at each step",
        "How many of the images are classified correctly after each step from the trained network to the "
        "hardware. A good compression costs next to nothing from the first row to the last.",
        bars(drawn, "Share of images classified correctly, in percent; a full bar is 100%."),
        table(["Step", "Accuracy", "Change, percentage points", "What it is"], rows, worded=True),
    )
