"""Each core's part of `zeroskip.compile`: its settings, and how networks are prepared for it.

The room of a core is `zeroskip.api.<core>`; its module `compile` defines `RECIPE`. Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from zeroskip.model.cores import core_entry
from zeroskip.model.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.model.data.dataset import Dataset
    from zeroskip.model.network.folded import Folded

Samples = tuple[Any, Any]
"""Inputs (float32, n x ...) and labels (int64, n), or None where there are none."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How a recipe trains: the settings that do not depend on the core, the seed, and where the state is saved."""

    epochs: int
    learning_rate: float
    seed: int
    checkpoint: Path | None


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """The data for a recipe, loaded on request.

    `labelled()` is a data set with a train/validation split; `samples("train")` and `samples("test")` are those of its
    splits, or all samples if the data have none.
    """

    labelled: Callable[[], Dataset]
    samples: Callable[[Literal["train", "test"]], Samples]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """The result of a recipe.

    `source` is what the core compiles; `inputs` (samples x ...) give the image size and the value range.
    `accuracy` are fractions of the test split by step, and `test` the samples they were measured on; `kept` of `total`
    weights are not zero, biases not counted. `perplexity` is of the same steps, for language models.
    """

    source: Any
    inputs: Any
    accuracy: dict[str, float]
    test: Samples
    kept: int
    total: int
    perplexity: dict[str, float] = field(default_factory=dict)


class Recipe(Protocol):
    """How a network is pruned and trained for a core."""

    settings_type: type
    """The frozen dataclass of the core's own compile settings; every field has a default."""

    def core_settings(self, settings: Any) -> Any:
        """The settings of the core's `compile`. Raises ValueError if the core's own `settings` contradict one
        another."""
        ...

    def check(self, settings: Any, plan: TrainingPlan) -> None:
        """Raises ValueError, before anything is loaded, if the settings do not go together."""
        ...

    def prepare(
        self,
        module: nn.Module,
        folded: Folded,
        data: DataSource,
        settings: Any,
        plan: TrainingPlan,
        progress: Progress,
    ) -> Prepared:
        """Prunes and trains a network, as far as the settings ask for it. `folded` is the network as it came, folded.
        Raises ValueError if network, data and settings do not fit each other."""
        ...


def load_recipe(core: str) -> Recipe:
    """The recipe of a core. Raises ValueError for an unknown name."""
    recipe: Recipe = import_module(f"zeroskip.api.{core_entry(core).name}.compile").RECIPE
    return recipe
