"""`zeroskip.compile`: a network compiled for one of the cores. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import own_settings, require_at_least, require_positive, require_settings, typed
from zeroskip.api.inputs import (
    SPLITS,
    Data,
    Network,
    data_of,
    labels_field,
    name_of,
    network_of,
    require_as_trained,
    samples_of,
    sources_of,
)
from zeroskip.api.paths import optional_path, require_writable, reserves
from zeroskip.api.recipe import DataSource, TrainingPlan, load_recipe
from zeroskip.api.told import keeps_warnings
from zeroskip.model.cores import DEFAULT, load_core
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.model.core import Core, StoredBits
    from zeroskip.model.network.folded import Folded
    from zeroskip.model.network.losses import Loss


UNLABELLED_IMAGES = 256
"""As many count the losses where there are no labels, and so no accuracy."""


@dataclass(frozen=True, kw_only=True)
class CompileSettings:
    """The core, and how the network is trained for it.

    `own` are the core's own settings, such as EieCompileSettings or MmaCompileSettings; None means their defaults.
    Dense training for `epochs` comes before pruning, at `learning_rate`, which falls along half a cosine; it needs
    settings that prune. The golden model runs at most `limit` samples of the test split, taken by chance with a fixed
    seed; at most UNLABELLED_IMAGES where there are no labels.
    """

    core: str = DEFAULT
    own: Any = None
    epochs: int = 0
    learning_rate: float = 0.05
    limit: int = 2_000

    def __post_init__(self) -> None:
        require_settings(self)
        require_at_least(self, epochs=0, limit=1)
        require_positive(self, "learning_rate")


@dataclass(frozen=True, kw_only=True, eq=False)
class Compiled:
    """A compiled `network`, for the core named `core`.

    `accuracy` are fractions of the test split: of the network by step of its preparation, and of the golden model
    ("golden"), which the RTL equals in every bit; empty if the data have no labels. `perplexity` is that of the same
    steps where each token has a label, as of language models. `kept` of `total` weights are not
    zero; the core's formats round `rounded_to_zero` of these to zero. `golden_images` samples went through the golden
    model, and `losses` are what the core's formats lost of their values. `bits` is the network's size in the core.
    """

    core: str
    network: Any
    accuracy: dict[str, float]
    perplexity: dict[str, float]
    kept: int
    total: int
    rounded_to_zero: int
    golden_images: int
    test_images: int
    """Samples of the test split, on which the other accuracies were measured."""
    losses: tuple[Loss, ...]
    bits: StoredBits
    left_out: str | None
    """The softmax or log_softmax at the end of the network, which is not compiled: it does not change the class."""
    output: Path | None
    seconds: float
    warnings: tuple[str, ...] = ()
    """What was warned of: losses that are much, ranges of values that do not fit, numbers that were converted."""

    def save(self, path: Path | str) -> None:
        """Writes the network's file (.zs), for `zeroskip.simulate` and `zeroskip simulate`."""
        load_core(self.core).save(self.network, Path(path))

    def summary(self) -> dict[str, Any]:
        """What `zeroskip compile --json` prints: the same keys for every core; `geometry` and the keys of each
        layer other than `inputs` and `outputs` are the core's own."""
        from zeroskip.model.network.losses import saturated

        return {
            "output": None if self.output is None else str(self.output),
            "core": self.core,
            "geometry": dataclasses.asdict(self.network.geometry),
            "layers": [dataclasses.asdict(layer) for layer in self.network.layers],
            "accuracy": self.accuracy or None,
            "perplexity": self.perplexity or None,
            "golden_images": self.golden_images,
            "test_images": self.test_images,
            "saturated": saturated(self.losses),
            "lost": [loss.summary() for loss in self.losses if loss.much],
            "weights": {
                "total": self.total,
                "kept": self.kept,
                "ratio": self.total / max(self.kept, 1),
                "rounded_to_zero": self.rounded_to_zero,
            },
            "bits": self.bits.summary(),
            "left_out": self.left_out,
            "warnings": list(self.warnings),
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        from zeroskip.model.network.losses import saturated
        from zeroskip.model.network.stages import shapes

        rows = [("layers", " - ".join(shapes(self.network.stages, self.network.layers)))]
        limited = f" (on {self.golden_images:,} of the {self.test_images:,} samples)"
        shown = limited if self.golden_images < self.test_images else ""
        rows += [
            (f"accuracy, {step}", f"{value:.2%}{shown if step == 'golden' else ''}")
            for step, value in self.accuracy.items()
        ]
        rows += [
            (f"perplexity, {step}", f"{value:.3f}{shown if step == 'golden' else ''}")
            for step, value in self.perplexity.items()
        ]
        rows += [
            ("samples through the golden model", f"{self.golden_images:,}"),
            *((f"saturated {kind}", f"{count:,}") for kind, count in saturated(self.losses).items()),
            ("weights kept", f"{self.kept:,} of {self.total:,}"),
            ("weights rounded to zero", f"{self.rounded_to_zero:,}"),
            ("bits, dense and image", f"{self.bits.dense:,} and {self.bits.image:,} (1 : {self.bits.ratio:.1f})"),
            *load_core(self.core).layer_facts(self.network),
        ]
        if self.left_out is not None:
            rows.append(("left out at the end", f"{self.left_out}: the class is the same without it"))
        return rows if self.output is None else [*rows, ("written to", str(self.output))]


@typed
@reserves("output", "checkpoint")
@keeps_warnings
def compile(
    network: Network,
    data: Data,
    *,
    weights: Path | str | None = None,
    settings: CompileSettings | None = None,
    output: Path | str | None = None,
    checkpoint: Path | str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Compiled:
    """Compile a network for a core, after pruning and training it if the settings ask for it.

    `network` is an nn.Module, which is not changed, or "module:factory"; `weights` is a safetensors file of its
    state_dict. `data` has inputs (n, ...) float32, of the shape that the network takes, and labels (n,) of classes,
    which only training needs. Linear, Conv2d, ReLU, max and average pooling, Flatten, Dropout, BatchNorm, additions and
    concatenations of branches, and a softmax at the end are understood. The compiled network is written to `output`,
    and the state of the training to `checkpoint` after every epoch: a run that was cut short continues from it. The
    result depends on the arguments alone.

    Raises ValueError if network, data or settings do not fit each other or the core's memories and formats, OSError
    where a file cannot be read or written, and FloatingPointError where training diverges.
    """
    start = time.monotonic()
    weights = optional_path(weights)
    output = optional_path(output)
    checkpoint = optional_path(checkpoint)
    settings = settings or CompileSettings()
    recipe = load_recipe(settings.core)
    own = own_settings(settings.own, recipe.settings_type, settings.core)
    plan = TrainingPlan(epochs=settings.epochs, learning_rate=settings.learning_rate, seed=seed, checkpoint=checkpoint)
    core_settings = recipe.core_settings(own)
    recipe.check(own, plan)
    if output is not None:
        require_writable(output, *sources_of(data, weights, checkpoint), suffix=".zs")
    module, _ = network_of(network, weights, progress)
    source = DataSource(
        labelled=functools.cache(lambda: data_of(data, seed, progress)),
        samples=functools.cache(lambda split: samples_of(data, split, progress)),
    )
    from zeroskip.model.core import weight_losses
    from zeroskip.model.network.losses import warn_of

    folded, softmax = _require_fit(module, data, source, weights)
    prepared = recipe.prepare(module, folded, source, own, plan, progress)
    core = load_core(settings.core)
    compiled = core.compile(prepared.source, prepared.inputs, core_settings, progress)
    (accuracy, perplexity), images, losses = _golden(core, compiled, *prepared.test, settings.limit, progress)
    losses = (*weight_losses(core, compiled, prepared.source), *losses)
    warn_of(losses)
    if output is not None:
        core.save(compiled, output)
    return Compiled(
        core=settings.core,
        network=compiled,
        accuracy={**prepared.accuracy, **accuracy},
        perplexity={**prepared.perplexity, **perplexity},
        golden_images=images,
        test_images=len(prepared.test[0]),
        losses=losses,
        kept=prepared.kept,
        total=prepared.total,
        rounded_to_zero=core.rounded_to_zero(compiled, prepared.source),
        bits=core.stored_bits(compiled),
        left_out=softmax,
        output=output,
        seconds=time.monotonic() - start,
    )


def _require_fit(module: nn.Module, data: Data, source: DataSource, weights: Path | None) -> tuple[Folded, str | None]:
    """The folded network, and the softmax at its end, if it has one. Raises ValueError, before any long work, if the
    network cannot be folded, or inputs or labels do not fit it or the samples with which its `weights` were
    trained."""
    from zeroskip.model.data.labels import require_classes
    from zeroskip.model.network.fold import fold_and_softmax
    from zeroskip.model.pruning.data_checks import require_shape

    splits = {split: source.samples(split) for split in SPLITS}
    train, field = splits["train"][0], f"{name_of(data)}: inputs"
    # First: it knows the order of the axes.
    require_as_trained(weights, field, *(inputs for inputs, _ in splits.values()))
    folded, softmax = fold_and_softmax(module, train)
    for split, (inputs, labels) in splits.items():
        require_classes(labels_field(data, split), labels, require_shape(folded, inputs, field))
    return folded, softmax


def _golden(
    core: Core[Any, Any], network: Any, inputs: Any, labels: Any, limit: int, progress: Progress
) -> tuple[tuple[dict[str, float], dict[str, float]], int, tuple[Loss, ...]]:
    """The accuracy of the golden model, if there are labels, and its perplexity, if they are of tokens; the number of
    samples that it ran, and what the core's formats lost of them."""
    from zeroskip.model.core import golden_run
    from zeroskip.model.data.dataset import accuracy, perplexity
    from zeroskip.model.network.subset import chosen

    progress(Step(task="running the golden model"))
    taken = chosen(len(inputs), limit if labels is not None else min(limit, UNLABELLED_IMAGES))
    result = golden_run(core, network, inputs[taken], progress)
    if labels is None:
        return ({}, {}), len(taken), result.losses
    spread = perplexity(result.outputs, labels[taken])
    measured = {"golden": accuracy(result.outputs, labels[taken])}, {} if spread is None else {"golden": spread}
    return measured, len(taken), result.losses
