"""`zeroskip.compile` for the N:M tile: prune to the pattern. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zeroskip.api.checks import require_settings
from zeroskip.api.inputs import in_epochs, one_thread
from zeroskip.api.recipe import DataSource, Prepared, TrainingPlan
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.progress import Progress, Step

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.model.network.folded import Folded

PruningMethod = Literal["magnitude", "sr-ste", "wanda", "sparsegpt"]
"""How a network is pruned to a pattern: with training, or at once without (zeroskip.model.pruning.one_shot)."""

AT_ONCE = ("wanda", "sparsegpt")
"""The methods after which nothing is trained."""


@dataclass(frozen=True, kw_only=True)
class MmaCompileSettings:
    """Compile settings of the N:M tile.

    With `prune` the network is pruned to `pattern` ("2:4", "4:8 pairs") and trained, by `method`: "magnitude" prunes
    the trained network and trains again (Mishra et al., arXiv 2104.08378), after `permute` has brought the channels
    into a better order (Pool & Yu, NeurIPS 2021); "sr-ste" trains sparse from the start (Zhou et al., ICLR 2021);
    "wanda" (Sun et al., ICLR 2024) and "sparsegpt" (Frantar & Alistarh, ICML 2023) prune at once and train nothing.
    Without `prune`, layers run sparse only if their weights already follow the pattern. `dtype` is the format of
    weights and activations, `generation` the GPU whose arithmetic the tile has, and `m` x `n` its rows and columns."""

    pattern: str = "2:4"
    prune: bool = False
    method: PruningMethod = "magnitude"
    permute: bool = False
    dtype: str = "fp16"
    generation: str = "A100"
    m: int = 4
    n: int = 4

    def __post_init__(self) -> None:
        require_settings(self, method=PruningMethod)

    def parsed_pattern(self) -> Pattern:
        """The pattern. Raises ValueError if it is none, or prunes nothing."""
        pattern = Pattern.parse(self.pattern)
        if pattern.dense:
            raise ValueError(f"pattern must be an N:M pattern that prunes, not {self.pattern!r}")
        return pattern


class MmaRecipe:
    settings_type = MmaCompileSettings

    def core_settings(self, settings: MmaCompileSettings) -> Any:
        from zeroskip.model.mma.geometry import mode_geometry
        from zeroskip.model.mma.settings import MmaSettings

        pattern = settings.parsed_pattern()
        return MmaSettings(
            geometry=mode_geometry(
                generation=settings.generation,
                dtype=settings.dtype,
                out="fp32",
                m=settings.m,
                n=settings.n,
                keep=pattern.keep,
                group=pattern.group,
                pair=pattern.pair,
            )
        )

    def check(self, settings: MmaCompileSettings, plan: TrainingPlan) -> None:
        if not settings.prune and (plan.epochs or settings.method != "magnitude" or settings.permute):
            raise ValueError("epochs, method and permute need prune: without it nothing is trained")
        if settings.method in AT_ONCE and plan.epochs:
            raise ValueError(f"epochs must be 0 where {settings.method!r} prunes at once, without training")
        if settings.permute and settings.method == "sr-ste":
            raise ValueError("permute must be False with 'sr-ste', whose initial weights are not trained yet")
        if settings.permute and settings.method != "magnitude":
            raise ValueError(f"permute must be False with {settings.method!r}, which does not prune by magnitude")

    def prepare(
        self,
        module: nn.Module,
        folded: Folded,
        data: DataSource,
        settings: MmaCompileSettings,
        plan: TrainingPlan,
        progress: Progress,
    ) -> Prepared:
        accuracy: dict[str, float] = {}
        perplexity: dict[str, float] = {}
        if settings.prune and settings.method in AT_ONCE:
            test = data.samples("test")
            folded, accuracy, perplexity = _pruned_at_once(folded, data, settings, progress)
        elif settings.prune:
            from zeroskip.model.pruning.nm_presets import user_settings
            from zeroskip.model.pruning.nm_recipe import prune_nm

            assert settings.method in ("magnitude", "sr-ste")
            with one_thread():
                result = prune_nm(
                    module,
                    data.labelled(),
                    settings=user_settings(
                        pattern=settings.parsed_pattern(),
                        epochs=plan.epochs,
                        learning_rate=plan.learning_rate,
                        method=settings.method,
                        permute=settings.permute,
                    ),
                    seed=plan.seed,
                    checkpoint=plan.checkpoint,
                    progress=in_epochs(progress),
                    steps=progress,
                )
            from zeroskip.model.network.fold import fold

            accuracy, test = result.accuracies, result.test
            # Folded, as its own forward() may need samples to be read.
            folded = fold(result.sparse, test[0])
        else:
            test = data.samples("test")
        progress(Step(task="counting weights"))
        from zeroskip.model.pruning.masks import prunable_layers

        # All that the tile multiplies, whatever the network's own layers are.
        weights = [layer.weight for layer in prunable_layers(folded).values()]
        return Prepared(
            source=folded,
            inputs=data.samples("train")[0],
            accuracy=accuracy,
            perplexity=perplexity,
            test=test,
            kept=sum(int(weight.count_nonzero()) for weight in weights),
            total=sum(weight.numel() for weight in weights),
        )


def _pruned_at_once(
    folded: Folded, data: DataSource, settings: MmaCompileSettings, progress: Progress
) -> tuple[Folded, dict[str, float], dict[str, float]]:
    """The pruned network, and the accuracy and the perplexity of both; none where there are no labels, or these are not
    of tokens."""
    import torch

    from zeroskip.model.pruning.data_checks import shape_inputs
    from zeroskip.model.pruning.one_shot import prune_at_once
    from zeroskip.model.pruning.training import evaluate_with_loss
    from zeroskip.model.pruning.training import perplexity as perplexity_of

    assert settings.method in ("wanda", "sparsegpt")
    pruned = prune_at_once(folded, data.samples("train")[0], settings.method, settings.parsed_pattern(), progress)
    inputs, labels = data.samples("test")
    if labels is None:
        return pruned, {}, {}
    progress(Step(task="measuring accuracy"))
    given, true = shape_inputs(torch.from_numpy(inputs), folded), torch.from_numpy(labels)
    found = {step: evaluate_with_loss(one, given, true) for step, one in (("dense", folded), ("sparse", pruned))}
    accuracy = {step: value for step, (value, _) in found.items()}
    return pruned, accuracy, {step: perplexity_of(loss) for step, (_, loss) in found.items()} if true.dim() == 2 else {}


RECIPE = MmaRecipe()
