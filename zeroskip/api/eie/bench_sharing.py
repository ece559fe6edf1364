"""Pruning and weight sharing without training, compared: `zeroskip bench sharing`. Imports nothing heavy."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from zeroskip.api.checks import require_settings, typed
from zeroskip.api.inputs import Data, Network, data_of, network_of, one_thread
from zeroskip.api.paths import optional_path
from zeroskip.api.tables import Table
from zeroskip.model.eie.settings import Sharing
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.progress import Progress, Step, silent

FLOAT = "float"
"""What stands for weights that are not shared."""

DENSE = "none"
"""What stands for weights that are not pruned."""


@dataclass(frozen=True, kw_only=True)
class SharingBenchSettings:
    """The fraction of each layer's weights that pruning keeps, and the N:M pattern that it keeps beside that."""

    density: float = 0.5
    pattern: str = "2:4"

    def __post_init__(self) -> None:
        require_settings(self)
        if not 0 < self.density < 1:
            raise ValueError(f"density must be above 0 and below 1, not {self.density:g}")
        if Pattern.parse(self.pattern).dense:
            raise ValueError(f"pattern must be one that prunes, not {self.pattern!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class SharingBenchResult:
    """`figures` as `zeroskip bench sharing --json` prints them."""

    figures: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """What `zeroskip bench sharing --json` prints."""
        return self.figures

    def tables(self) -> list[Table]:
        """The same for people: a row for each way to prune, a column for each way to share."""
        figures = self.figures
        what = "accuracy" if figures["rows"][0]["perplexity"] is None else "perplexity"
        found: dict[tuple[str, str], dict[str, float]] = {}
        for row in figures["rows"]:
            found.setdefault((row["pruning"], row["keeps"]), {})[row["sharing"]] = row[what]
        heads = ["pruned by", "keeps", *next(iter(found.values()))]
        rows = [
            [*by, *(f"{value:.2%}" if what == "accuracy" else f"{value:.3f}" for value in values.values())]
            for by, values in found.items()
        ]
        title = f"{figures['network']}: {what} by pruning and sharing, without training"
        return [Table(title=title, heads=heads, rows=rows)]

    def notes(self) -> list[str]:
        """What the columns mean."""
        return [
            f"on {self.figures['test_images']:,} samples of the test split; all but {FLOAT} have 15 values a layer, as "
            "`zeroskip compile --sharing` gives them"
        ]


@typed
def bench_sharing(
    network: Network,
    data: Data,
    *,
    weights: Path | str | None = None,
    settings: SharingBenchSettings | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> SharingBenchResult:
    """Compare ways to prune a trained network at once, and to share its weights in 4 bits.

    The arguments are those of `zeroskip.train`. Samples of the training split calibrate, and the test split measures.
    Raises ValueError if network and data do not fit each other, and OSError where a file cannot be read.
    """
    start = time.monotonic()
    settings, weights = settings or SharingBenchSettings(), optional_path(weights)
    module, _ = network_of(network, weights, progress)
    dataset = data_of(data, seed, progress, weights)
    progress(Step(task="loading torch"))
    import torch

    from zeroskip.model.eie.shared import to_module
    from zeroskip.model.eie.sharing import share_layers
    from zeroskip.model.network.fold import fold
    from zeroskip.model.network.folded import Folded
    from zeroskip.model.pruning.data_checks import require_classifier, shape_inputs
    from zeroskip.model.pruning.one_shot import ONE_SHOT, Kept, OneShot, prune_at_once
    from zeroskip.model.pruning.training import evaluate_with_loss, perplexity

    require_classifier(module, dataset)
    folded, inputs = fold(module, dataset.train_inputs), dataset.train_inputs
    test, labels = torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels)
    keeps: dict[str, Kept] = {
        f"{settings.density:.0%}": settings.density,
        settings.pattern: Pattern.parse(settings.pattern),
    }
    ways: list[tuple[OneShot | None, str]] = [(None, "100%"), *((one, name) for name in keeps for one in ONE_SHOT)]
    rows: list[dict[str, Any]] = []

    def measure(pruning: str, name: str, sharing: str, found: Folded) -> None:
        accuracy, loss = evaluate_with_loss(found, shape_inputs(test, found), labels)
        spread = perplexity(loss) if labels.dim() == 2 else None
        rows.append({"pruning": pruning, "keeps": name, "sharing": sharing, "accuracy": accuracy, "perplexity": spread})

    # What one codebook does to a layer is measured here, so that it need not be told.
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for done, (method, name) in enumerate(ways):
            shown = method or DENSE
            progress(Step(task=f"pruning by {shown}", done=done, total=len(ways), unit="networks"))
            pruned = folded if method is None else prune_at_once(folded, inputs, method, keeps[name])
            measure(shown, name, FLOAT, pruned)
            for sharing in get_args(Sharing):
                progress(Step(task=f"sharing, {sharing}", done=done, total=len(ways), unit="networks"))
                measure(shown, name, sharing, to_module(share_layers(pruned, inputs=inputs, sharing=sharing)))
    return SharingBenchResult(
        figures={
            "network": network if isinstance(network, str) else type(network).__name__,
            "test_images": len(test),
            "rows": rows,
            "seconds": time.monotonic() - start,
        }
    )
