"""Accuracies of pruned networks on images that nothing is trained on; none is measured twice."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from model.pruning.masks import Masks
from model.pruning.training import evaluate
from model.search.plan import masks_of


class Evaluator:
    """Accuracies of `module`, pruned by magnitude, on `inputs` (n, ...) and `labels` (n,).

    Each goes to the file `journal`, a line of JSON, before it is given; a search that was cut short and is started
    again with it (`resume`) finds what it had. Without `resume` the file is started over. `configuration` stands for
    all that accuracies depend on beside the densities. Raises ValueError where the journal is damaged, or of another
    search.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        *,
        granularity: str,
        configuration: str,
        journal: Path,
        resume: bool,
    ) -> None:
        self.module, self.inputs, self.labels = copy.deepcopy(module).eval(), inputs, labels
        self.granularity = granularity
        self.journal = journal
        self.known: dict[str, float] = {}
        self.measured = 0
        head = {"search": hashlib.sha256(f"{configuration} {granularity}".encode()).hexdigest()}
        if resume and journal.exists():
            self._load(head)
        else:
            journal.parent.mkdir(parents=True, exist_ok=True)
            journal.write_text(json.dumps(head) + "\n")

    def accuracy(self, densities: Mapping[str, float]) -> float:
        """The fraction of the images that are put into their class, layers not named being dense."""
        key = json.dumps({name: density for name, density in sorted(densities.items()) if density < 1})
        if key not in self.known:
            pruned = copy.deepcopy(self.module)
            Masks(pruned, masks_of(self.module, densities, self.granularity)).apply()
            self.known[key] = evaluate(pruned, self.inputs, self.labels)
            self.measured += 1
            with self.journal.open("a") as file:
                file.write(json.dumps({"densities": key, "accuracy": self.known[key]}) + "\n")
        return self.known[key]

    def _load(self, head: dict[str, str]) -> None:
        lines = self.journal.read_text().split("\n")
        # The search was ended in the middle of its last line.
        whole, rest = lines[:-1], lines[-1]
        try:
            first, *entries = [json.loads(line) for line in whole]
            self.known = {str(entry["densities"]): float(entry["accuracy"]) for entry in entries}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.journal}: is no journal of a search: {error!r}; search without --resume"
            ) from error
        if first != head:
            raise ValueError(
                f"{self.journal}: belongs to another network, other data, another granularity or seed; "
                "search without --resume"
            )
        if rest:
            self.journal.write_text("\n".join(whole) + "\n")
