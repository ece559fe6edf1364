"""The EIE array's part of `zeroskip.demo`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zeroskip.api.checks import require_settings
from zeroskip.api.eie.compile import PES
from zeroskip.api.inputs import in_epochs
from zeroskip.api.recipe import Prepared
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.settings import EieSettings
from zeroskip.model.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.model.data.dataset import Dataset

LENET_5_CALIBRATION = 2_000
"""Training images for choosing the fraction bits of lenet-5: convolutions see each image hundreds of times."""


@dataclass(frozen=True, kw_only=True)
class EieDemoSettings:
    """`pes` processing elements; None means 8 for digits and 16 for Fashion-MNIST."""

    pes: int | None = None

    def __post_init__(self) -> None:
        require_settings(self)


class EieDemo:
    settings_type = EieDemoSettings

    def core_settings(self, title: str, settings: EieDemoSettings) -> EieSettings:
        pes = settings.pes if settings.pes is not None else PES if title == "digits" else 16
        return EieSettings(geometry=EieGeometry(pes=pes))

    def prepare(
        self, module: nn.Module, dataset: Dataset, title: str, seed: int, checkpoint: Path, progress: Progress
    ) -> Prepared:
        """Prunes single weights, and shares the values of the others."""
        from zeroskip.model.pruning import presets
        from zeroskip.model.pruning.recipe import prune_and_share

        settings = {"digits": presets.DIGITS, "fashion-mnist": presets.FASHION_MNIST, "lenet-5": presets.LENET_5}[title]
        result = prune_and_share(
            module, dataset, settings=settings, seed=seed, checkpoint=checkpoint, progress=in_epochs(progress)
        )
        assert result.accuracies is not None
        inputs = dataset.train_inputs[:LENET_5_CALIBRATION] if title == "lenet-5" else dataset.train_inputs
        return Prepared(
            source=result.layers,
            inputs=inputs,
            accuracy=result.accuracies,
            test=(dataset.test_inputs, dataset.test_labels),
            kept=result.kept,
            total=result.total,
        )


DEMO = EieDemo()
