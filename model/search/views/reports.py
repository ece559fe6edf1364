"""What `zeroskip search` writes and prints: a plan with the numbers of its search, or a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zeroskip.model.files import save_json
from zeroskip.model.search.plan import Plan, save_plan
from zeroskip.model.search.views.pictures import of_comparison, of_plan, save_picture

Report = tuple[dict[str, Any], list[tuple[str, str]]]
"""What is printed as JSON, and the same for people."""


def report_plan(
    plan: Plan,
    output: Path,
    *,
    dense: float,
    exact: tuple[float, float] | None,
    kept: float,
    whole: Sequence[str],
    accuracy: dict[str, float],
    evaluations: int,
    found: Sequence[Path],
    seconds: float,
) -> Report:
    """Writes the plan and its picture beside the files `found`.

    `dense` is the dense cost by the table. `exact` are the exact costs of the dense and of the pruned network, if there
    are any. `kept` is the fraction of the weights that is kept. `whole` names the layers that this granularity cannot
    prune. `accuracy` has "dense" and "plan", measured on the validation samples.
    """
    files = [*found, save_picture(of_plan(plan), output.with_suffix(".png"))]
    save_plan(plan, output)
    total = plan.reached * dense
    cost: dict[str, Any] = {"name": plan.cost, "dense": dense, "plan": total}
    cost |= {"exact_dense": None if exact is None else exact[0], "exact": None if exact is None else exact[1]}
    summary: dict[str, Any] = {
        "plan": str(output),
        "layers": plan.densities,
        "granularity": plan.granularity,
        "cost": {**cost, "reached": plan.reached, "budget": plan.budget},
        "density": kept,
        "whole": list(whole),
        "accuracy": accuracy,
        "evaluations": evaluations,
        "files": [str(path) for path in files],
        "seconds": seconds,
    }
    rows = [
        (f"layer {layer.name}", f"{layer.density:.1%} of {' x '.join(map(str, layer.shape))}") for layer in plan.layers
    ]
    if whole:
        rows.append(("layers that this granularity cannot prune", ", ".join(whole)))
    rows += [
        ("weights kept", f"{kept:.1%}"),
        (f"{plan.cost}, dense", f"{dense:,.6g}"),
        (f"{plan.cost}, plan", f"{total:,.6g} ({plan.reached:.1%}, budget {plan.budget:.1%})"),
    ]
    if exact is not None:
        whole = f"{exact[1]:,.6g} ({exact[1] / exact[0]:.1%} of dense; {exact[1] / total - 1:+.1%} to the table's sum)"
        rows.append((f"{plan.cost}, whole network", whole))
    rows += [
        ("accuracy, dense", f"{accuracy['dense']:.2%}"),
        ("accuracy, plan before fine-tuning", f"{accuracy['plan']:.2%}"),
        ("written", ", ".join(str(path) for path in (output, *files))),
    ]
    return summary, rows


def report_comparison(
    policies: dict[str, dict[str, Any]],
    output: Path,
    *,
    budget: float,
    cost: str,
    granularity: str,
    dense: float,
    seconds: float,
) -> Report:
    """Writes what `zeroskip.model.search.methods.compare` gave, and a picture; `dense` is the dense accuracy."""
    summary = {
        "budget": budget,
        "cost": cost,
        "granularity": granularity,
        "dense": dense,
        "policies": policies,
        "seconds": seconds,
    }
    save_picture(of_comparison(policies, dense), output.with_suffix(".png"))
    save_json(output, summary)
    rows = [(f"dense accuracy; budget of {cost}", f"{dense:.2%}; {budget:.1%}")]
    for name, policy in policies.items():
        after = f"{policy['after']:.2%} ± {policy['std']:.2%}"
        exact = "" if policy["exact"] is None else f" (whole network {policy['exact']:.1%})"
        values = f"{policy['cost']:.1%}{exact}, {policy['before']:.2%}, {after}"
        rows.append((f"{name}: cost, before, after fine-tuning", values))
    return summary, rows
