"""Commands that need no simulator: `zeroskip compile`."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from model import options
from model.compiler.eie import MEMORIES, compile_network, golden_accuracy, lost_weights
from model.console import errors, progress_bar, require_writable, show
from model.data.dataset import Dataset
from model.data.npz import load_npz
from model.formats import bundle
from model.formats.geometry import VALUE_BITS, EieGeometry
from model.formats.stages import shapes
from model.formats.storage import storage
from model.pruning.presets import user_settings
from model.pruning.recipe import Result, prune_and_share, share

HELD_OUT = 0.2
"""Fraction of the user's samples that accuracy is measured on, and nothing else is done with."""


def load_factory(name: str) -> nn.Module:
    """The network that MODULE:FACTORY makes: FACTORY is called without arguments. MODULE is a module that Python
    finds from the current folder, or the path of a .py file. Raises ValueError that says what is wrong."""
    module_name, separator, factory_name = name.rpartition(":")
    if not separator or not module_name or not factory_name:
        raise ValueError(f"the network must be named MODULE:FACTORY, as in mynets:lenet, not {name!r}")
    if module_name.endswith(".py"):
        path = Path(module_name)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise ValueError(f"{module_name} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        with _users_code(module_name):
            spec.loader.exec_module(module)
    else:
        sys.path.insert(0, str(Path.cwd()))
        if importlib.util.find_spec(module_name.partition(".")[0]) is None:
            raise ValueError(f"there is no module {module_name!r} here")
        with _users_code(module_name):
            module = importlib.import_module(module_name)
    if not callable(factory := getattr(module, factory_name, None)):
        raise ValueError(f"{module_name} has no function or class {factory_name!r}")
    with _users_code(f"{name}()"):
        network = factory()
    if not isinstance(network, nn.Module):
        raise ValueError(f"{name} must return a torch.nn.Module, not {type(network).__name__}")
    return network


@contextmanager
def _users_code(what: str) -> Iterator[None]:
    """Whatever the user's own code raises, even where it asks to exit, becomes one ValueError."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise ValueError(f"{what} failed: {type(error).__name__}: {error}") from error


def load_weights(network: nn.Module, path: Path) -> None:
    """Loads a state_dict from a safetensors file; raises ValueError where it is damaged or is not the network's."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path}: not a complete safetensors file ({error}); pickles (.pt, .pth) are never loaded: save the "
            "weights with safetensors.torch.save_file(network.state_dict(), path)"
        ) from error
    expected = network.state_dict()
    if missing := sorted(set(expected) - set(state)):
        raise ValueError(f"{path}: lacks {', '.join(missing)}")
    if unknown := sorted(set(state) - set(expected)):
        raise ValueError(f"{path}: has {', '.join(unknown)}, which the network does not know")
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise ValueError(
                f"{path}: {name} must have the shape {tuple(tensor.shape)}, not {tuple(state[name].shape)}"
            )
        if not state[name].isfinite().all():
            raise ValueError(f"{path}: {name} must be finite, but holds NaN or infinity")
    network.load_state_dict(state)


def compile_command(
    network: Annotated[str, typer.Argument(metavar="MODULE:FACTORY", help="What makes the network, an nn.Module.")],
    data: Annotated[
        Path,
        typer.Option(help="NPZ file: inputs to calibrate by, and labels where there are any to train with."),
    ],
    output: Annotated[Path, typer.Option(help="The compiled network to write (.zs).")],
    weights: Annotated[
        Path | None,
        typer.Option(help="Safetensors file of the state_dict; without, the factory's own weights."),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Prune to this fraction of the weights, retraining; without, zeros stay as they are.",
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=0, help="Epochs of dense training before pruning, where --density is given.")
    ] = 0,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of dense training; retraining takes a tenth of it.")
    ] = 0.05,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Training state, to go on from where it was cut short. [default: OUTPUT.ckpt]"),
    ] = None,
    pes: options.Pes = 8,
    index_bits: options.IndexBits = 4,
    queue_depth: options.QueueDepth = 8,
    entries_per_word: options.EntriesPerWord = 8,
    accumulator_bits: options.AccumulatorBits = 32,
    product_shift: options.ProductShift = 0,
    entry_words: options.EntryWords = None,
    pointers: options.Pointers = None,
    activation_rows: options.ActivationRows = None,
    layers: options.Layers = None,
    even: options.Even = True,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Compile a network for the EIE array.

    Linear, Conv2d, ReLU, MaxPool2d, Flatten, Dropout and BatchNorm are understood. The weights of each layer are
    shared among 15 values and zero; with --density they are pruned first, and fine-tuned on the labelled data.
    """
    start = time.monotonic()
    require_writable(output)
    sizes = {
        "entry_words": entry_words,
        "pointers": pointers,
        "activation_rows": activation_rows,
        "layers": layers,
    }
    geometry = EieGeometry(
        pes=pes,
        index_bits=index_bits,
        queue_depth=queue_depth,
        entries_per_word=entries_per_word,
        accumulator_bits=accumulator_bits,
        product_shift=product_shift,
        **({"activation_rows": 64} | {field: size for field, size in sizes.items() if size is not None}),
    )
    module = load_factory(network)
    if weights is not None:
        load_weights(module, weights)
    inputs, labels = load_npz(data, labels_required=density is not None)
    if density is None:
        result = share(module, test_inputs=inputs, test_labels=labels)
    else:
        assert labels is not None
        result = _prune(
            module,
            data,
            inputs,
            labels,
            density,
            epochs,
            learning_rate,
            seed,
            checkpoint or Path(f"{output}.ckpt"),
        )
    fit = [field for field in MEMORIES if sizes[field] is None]
    compiled = compile_network(result.layers, inputs, geometry, fit=fit, even=even)
    accuracy = result.accuracies
    if accuracy is not None and result.test is not None:
        accuracy = {**accuracy, "golden": golden_accuracy(compiled, *result.test)}
    if lost := lost_weights(compiled):
        errors.print(
            f"warning: {lost:,} weights are rounded to zero: {VALUE_BITS} bits do not hold them beside the largest of "
            "their layer",
            style="yellow",
        )
    bundle.save(compiled, output)

    stored = storage(compiled)
    summary: dict[str, Any] = {
        "output": str(output),
        "geometry": dataclasses.asdict(compiled.geometry),
        "layers": [[layer.inputs, layer.outputs] for layer in compiled.layers],
        "accuracy": accuracy,
        "weights": {
            "total": result.total,
            "kept": result.kept,
            "ratio": result.total / max(result.kept, 1),
            "rounded_to_zero": lost,
        },
        "bits": {"dense": stored.dense, "image": stored.image, "ratio": stored.ratio},
        "seconds": time.monotonic() - start,
    }
    rows = [
        (
            "layers",
            " - ".join(shapes(compiled.stages, compiled.layers)),
        )
    ]
    rows += [(f"accuracy, {step}", f"{value:.2%}") for step, value in (accuracy or {}).items()]
    rows += [
        ("weights kept", f"{result.kept:,} of {result.total:,}"),
        ("bits, dense and image", f"{stored.dense:,} and {stored.image:,} (1 : {stored.ratio:.1f})"),
        ("PEs", str(compiled.geometry.pes)),
        ("written", str(output)),
    ]
    show(summary, rows, title=f"{network} compiled", as_json=as_json)


def _prune(
    module: nn.Module,
    data: Path,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    density: float,
    epochs: int,
    learning_rate: float,
    seed: int,
    checkpoint: Path,
) -> Result:
    order = np.random.default_rng(seed).permutation(len(inputs))
    held_out = int(len(inputs) * HELD_OUT)
    if held_out == 0:
        raise ValueError(f"{data}: pruning needs at least {int(1 / HELD_OUT)} samples, not {len(inputs)}")
    test, train = order[:held_out], order[held_out:]
    dataset = Dataset(
        name=str(data),
        train_inputs=inputs[train],
        train_labels=labels[train],
        test_inputs=inputs[test],
        test_labels=labels[test],
    )
    settings = user_settings(density=density, epochs=epochs, learning_rate=learning_rate)
    with progress_bar() as bar:
        task = bar.add_task("training")
        return prune_and_share(
            module,
            dataset,
            settings=settings,
            seed=seed,
            checkpoint=checkpoint,
            progress=lambda at: bar.update(task, description=at.stage, completed=at.done, total=at.total),
        )


def add_commands(app: typer.Typer) -> None:
    app.command("compile")(compile_command)
