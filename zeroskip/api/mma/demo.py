"""The N:M tile's part of `zeroskip.demo`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.inputs import in_epochs
from zeroskip.api.recipe import Prepared
from zeroskip.model.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.model.data.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class MmaDemoSettings:
    """The tile is the same in every demo: 2:4 in fp16 with fp32 sums, as on an A100."""


class MmaDemo:
    settings_type = MmaDemoSettings

    def core_settings(self, title: str, settings: MmaDemoSettings) -> Any:
        from zeroskip.model.mma.geometry import mode_geometry
        from zeroskip.model.mma.settings import MmaSettings

        return MmaSettings(geometry=mode_geometry(generation="A100", dtype="fp16", out="fp32"))

    def prepare(
        self, module: nn.Module, dataset: Dataset, title: str, seed: int, checkpoint: Path, progress: Progress
    ) -> Prepared:
        """Prunes to 2:4, and trains again."""
        from zeroskip.model.pruning import nm_presets
        from zeroskip.model.pruning.nm_recipe import prune_nm

        settings = {
            "digits": nm_presets.DIGITS,
            "fashion-mnist": nm_presets.FASHION_MNIST,
            "lenet-5": nm_presets.LENET_5,
        }[title]
        result = prune_nm(
            module, dataset, settings=settings, seed=seed, checkpoint=checkpoint, progress=in_epochs(progress)
        )
        return Prepared(
            source=result.sparse,
            inputs=dataset.test_inputs,
            accuracy=result.accuracies,
            test=(dataset.test_inputs, dataset.test_labels),
            kept=sum(layer.kept for layer in result.layers),
            total=sum(layer.total for layer in result.layers),
        )


DEMO = MmaDemo()
