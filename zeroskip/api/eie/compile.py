"""`zeroskip.compile` for the EIE array: prune to a density, share the weights. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zeroskip.api.checks import require_settings
from zeroskip.api.inputs import in_epochs, one_thread
from zeroskip.api.recipe import DataSource, Prepared, TrainingPlan
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.settings import POSITIONS, EieSettings, Sharing
from zeroskip.model.progress import Progress, Step

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.model.network.folded import Folded


Pruning = Literal["rounds", "magnitude", "wanda", "sparsegpt"]
"""How a network is pruned to a density: in rounds with training, or at once without (zeroskip.model.pruning.one_shot).
"""

PES = 8
"""Processing elements of an array that nobody chose; the paper's array, the default of EieGeometry, has 64."""


@dataclass(frozen=True, kw_only=True)
class EieCompileSettings:
    """Compile settings of the EIE array.

    With `density` (a fraction) the network is pruned to it and trained, then its shared weights are trained (Deep
    Compression, Han et al., ICLR 2016); or, with another `pruning` than "rounds", each layer is pruned to it at once,
    and nothing is trained. Without it, the network's zeros are the pruned weights. `sharing` says whether the 15 values
    of a layer are shared by its weights alone ("plain"), or also by what the layer reads
    (zeroskip.model.eie.calibrated_sharing). The other fields are those of EieGeometry; memories that are None are made
    as large as the network needs, to the next power of two. With `balance_load` rows are assigned to PEs so that the
    load is balanced, otherwise in turn. A convolution computes up to `positions` positions in a start: more take fewer
    cycles and more memory, since its kernel is stored once for each."""

    density: float | None = None
    pruning: Pruning = "rounds"
    sharing: Sharing = "plain"
    pes: int = PES
    index_bits: int = EieGeometry.index_bits
    queue_depth: int = EieGeometry.queue_depth
    entries_per_word: int = EieGeometry.entries_per_word
    accumulator_bits: int = EieGeometry.accumulator_bits
    product_shift: int = EieGeometry.product_shift
    entry_words: int | None = None
    pointers: int | None = None
    activation_rows: int | None = None
    layers: int | None = None
    balance_load: bool = True
    positions: int = POSITIONS

    def __post_init__(self) -> None:
        require_settings(self, pruning=Pruning, sharing=Sharing)

    def geometry(self) -> EieGeometry:
        """The array, with the defaults of EieGeometry for memories that are to be fitted. Raises ValueError."""
        sizes = {field: getattr(self, field) for field in MEMORIES}
        return EieGeometry(
            pes=self.pes,
            index_bits=self.index_bits,
            queue_depth=self.queue_depth,
            entries_per_word=self.entries_per_word,
            accumulator_bits=self.accumulator_bits,
            product_shift=self.product_shift,
            **{field: size for field, size in sizes.items() if size is not None},
        )


class EieRecipe:
    settings_type = EieCompileSettings

    def core_settings(self, settings: EieCompileSettings) -> EieSettings:
        return EieSettings(
            geometry=settings.geometry(),
            fit=tuple(field for field in MEMORIES if getattr(settings, field) is None),
            balance_load=settings.balance_load,
            positions=settings.positions,
        )

    def check(self, settings: EieCompileSettings, plan: TrainingPlan) -> None:
        if settings.density is not None and not 0 <= settings.density <= 1:
            raise ValueError(f"density must be from 0 to 1, not {settings.density}")
        if settings.density is None and plan.epochs:
            raise ValueError("epochs need a density: without it nothing is trained (zeroskip train does not prune)")
        if settings.pruning != "rounds" and not settings.density:
            raise ValueError(f"pruning by {settings.pruning!r} needs a density above 0, to which it prunes")
        if settings.pruning != "rounds" and plan.epochs:
            raise ValueError(f"epochs must be 0 where {settings.pruning!r} prunes at once, without training")

    def prepare(
        self,
        module: nn.Module,
        folded: Folded,
        data: DataSource,
        settings: EieCompileSettings,
        plan: TrainingPlan,
        progress: Progress,
    ) -> Prepared:
        inputs, _ = data.samples("train")
        test_inputs, test_labels = data.samples("test")
        if settings.density is None or settings.pruning != "rounds":
            progress(Step(task="loading torch"))
            from zeroskip.model.pruning.recipe import share

            if settings.density is not None and settings.pruning != "rounds":
                from zeroskip.model.pruning.one_shot import prune_at_once

                folded = prune_at_once(folded, inputs, settings.pruning, settings.density, progress)
            result = share(
                module,
                folded,
                inputs=inputs,
                sharing=settings.sharing,
                test_inputs=test_inputs,
                test_labels=test_labels,
                progress=progress,
            )
        else:
            from zeroskip.model.pruning.presets import user_settings
            from zeroskip.model.pruning.recipe import prune_and_share

            own = user_settings(density=settings.density, epochs=plan.epochs, learning_rate=plan.learning_rate)
            with one_thread():
                result = prune_and_share(
                    module,
                    data.labelled(),
                    settings=dataclasses.replace(own, sharing=settings.sharing),
                    seed=plan.seed,
                    checkpoint=plan.checkpoint,
                    progress=in_epochs(progress),
                    steps=progress,
                )
        return Prepared(
            source=result.layers,
            inputs=inputs,
            accuracy=result.accuracies or {},
            perplexity=result.perplexities or {},
            test=result.test or (test_inputs, test_labels),
            kept=result.kept,
            total=result.total,
        )


RECIPE = EieRecipe()
