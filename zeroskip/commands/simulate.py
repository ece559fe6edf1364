"""Commands that run the RTL: `zeroskip demo` and `zeroskip simulate`."""

from __future__ import annotations

import dataclasses
import enum
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zeroskip.commands import options
from zeroskip.commands.compile import Core
from zeroskip.commands.console import progress_bar, require_writable, show, training_bar
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zeroskip.cosim.eie.verify import Verification
    from zeroskip.cosim.simulator import Simulator
    from zeroskip.model.data.dataset import Dataset
    from zeroskip.model.eie import golden as golden
    from zeroskip.model.eie.bundle import EieNetwork


class DemoData(enum.Enum):
    DIGITS = "digits"
    FASHION_MNIST = "fashion-mnist"


class DemoNetwork(enum.Enum):
    LENET_300_100 = "lenet-300-100"
    LENET_5 = "lenet-5"


def demo_command(
    context: typer.Context,
    core: Annotated[Core, typer.Option(help="The EIE array, or the 2:4 sparse tile.")] = Core.EIE,
    dataset: Annotated[DemoData, typer.Option(help="Handwritten digits, or Fashion-MNIST.")] = DemoData.DIGITS,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the four IDX files, where they are not installed.")
    ] = None,
    network_name: Annotated[
        DemoNetwork, typer.Option("--network", help="For Fashion-MNIST: fully connected, or with convolutions.")
    ] = DemoNetwork.LENET_300_100,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Test images on RTL. [default: all; 500 for lenet-5, whose golden model runs all]"),
    ] = None,
    pes: Annotated[
        int | None,
        typer.Option(
            help="Processing elements. [default: 8 for digits, 16 for Fashion-MNIST]", rich_help_panel=options.EIE_PANEL
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for network, report and training state. [default: runs/DATASET, or runs/lenet-5; with -mma]"
        ),
    ] = None,
    simulator: options.Simulator = "verilator",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Train, prune, compile and run a network on the RTL, over the images of the test split.

    For the EIE the weights are shared too; for the tile they are pruned to 2:4, in fp16 as on an A100. The run is right
    where every output bit equals the golden model and every cycle the cycle model; otherwise the
    exit code is 1. Training goes on where an earlier run in the same folder was cut short.
    """
    from zeroskip.commands.simulate_mma import demo_mma
    from zeroskip.cosim.report import write_report
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.data.digits import load_digits
    from zeroskip.model.data.fashion import load_fashion_mnist
    from zeroskip.model.eie import bundle
    from zeroskip.model.eie.compiler import compile_network, quantise_inputs
    from zeroskip.model.networks import digits_mlp, lenet_5, lenet_300_100
    from zeroskip.model.pruning import nm_presets
    from zeroskip.model.pruning.presets import DIGITS, FASHION_MNIST, LENET_5
    from zeroskip.model.pruning.recipe import prune_and_share

    start = time.monotonic()
    require_tools(Simulator(simulator))
    if core is Core.MMA:
        options.refuse_panel(context, options.EIE_PANEL, "--core mma")
    lenet_5_asked = network_name is DemoNetwork.LENET_5
    if lenet_5_asked and dataset is DemoData.DIGITS:
        raise ValueError("lenet-5 takes 28x28 pixels: add --dataset fashion-mnist")
    title = "lenet-5" if lenet_5_asked else dataset.value
    output = output or Path("runs") / (title if core is Core.EIE else f"{title}-mma")
    if dataset is DemoData.DIGITS:
        data, module, settings, nm_settings = load_digits(), digits_mlp(seed=seed), DIGITS, nm_presets.DIGITS
    elif lenet_5_asked:
        data, module = _pictures(load_fashion_mnist(folder)), lenet_5(seed=seed)
        settings, nm_settings = LENET_5, nm_presets.LENET_5
        limit = limit or 500
    else:
        data, module = load_fashion_mnist(folder), lenet_300_100(seed=seed)
        settings, nm_settings = FASHION_MNIST, nm_presets.FASHION_MNIST
    require_writable(output / "network.zs")
    if core is Core.MMA:
        demo_mma(
            title,
            data,
            module,
            nm_settings,
            limit=limit,
            output=output,
            simulator=Simulator(simulator),
            seed=seed,
            as_json=as_json,
        )
        return
    geometry = EieGeometry(pes=pes if pes is not None else 8 if dataset is DemoData.DIGITS else 16)

    with training_bar() as progress:
        result = prune_and_share(
            module,
            data,
            settings=settings,
            seed=seed,
            checkpoint=output / "training.safetensors",
            progress=progress,
        )
    assert result.accuracies is not None
    # Convolutions see each image hundreds of times: fewer images tell as much.
    calibration = data.train_inputs[:2000] if lenet_5_asked else data.train_inputs
    network = compile_network(result.layers, calibration, geometry, fit=MEMORIES, balance_load=True)
    bundle.save(network, output / "network.zs")
    inputs, clipped = quantise_inputs(network, data.test_inputs, saturate=True)
    verification = _verify(network, inputs[:limit], Simulator(simulator), seed)
    accuracy = {**result.accuracies, **_hardware_accuracy(network, verification, inputs, data.test_labels)}

    report = output / "report.html"
    summary: dict[str, Any] = {
        "dataset": title,
        **verification.summary(),
        "accuracy": accuracy,
        "weights": {"total": result.total, "kept": result.kept, "ratio": result.total / result.kept},
        "bits": _bits(network),
        "clipped_inputs": clipped,
        "report": str(report),
    }
    facts = {"data set": f"{dataset.value}, test split", "seed": str(seed), **dict(verification.rows())}
    write_report(
        report,
        title=f"zeroskip demo: {title}",
        network=network,
        run=verification.run,
        mismatches=verification.mismatches,
        accuracy=accuracy,
        facts=facts,
    )
    summary["seconds"] = seconds = time.monotonic() - start
    rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in accuracy.items()]
    rows += [
        ("weights kept", f"{result.kept:,} of {result.total:,} (1 : {result.total / result.kept:.1f})"),
        ("bits, dense and image", f"{summary['bits']['dense']:,} and {summary['bits']['image']:,}"),
        ("report", str(report)),
        *verification.rows(),
    ]
    show(summary, rows, title=f"{title} on the EIE array, {seconds:.1f} s", as_json=as_json)
    if not verification.equal:
        raise typer.Exit(1)


def simulate_command(
    context: typer.Context,
    network: Annotated[Path, typer.Argument(help="A network from `zeroskip compile`.")],
    data: options.Samples,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")] = None,
    saturate: Annotated[
        bool,
        typer.Option(help="Clip inputs that do not fit, and count them.", rich_help_panel=options.EIE_PANEL),
    ] = False,
    outputs: Annotated[Path | None, typer.Option(help="NPZ file to write outputs and cycles to.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="The report to write. [default: the network's name with .html]", rich_help_panel=options.EIE_PANEL
        ),
    ] = None,
    simulator: options.Simulator = "verilator",
    seed: Annotated[int, typer.Option(min=0, help="Seed of what stands in the memories before loading.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Run a compiled network on the RTL.

    The run is right where every output bit equals the golden model and every cycle the cycle model; otherwise the
    exit code is 1.
    """
    from zeroskip.commands.simulate_mma import simulate_mma
    from zeroskip.cosim.report import write_report
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.data.dataset import accuracy as accuracy_of
    from zeroskip.model.data.named import load_samples
    from zeroskip.model.data.npz import require_classes
    from zeroskip.model.eie import bundle
    from zeroskip.model.eie.compiler import quantise_inputs
    from zeroskip.model.mma import bundle as mma_bundle
    from zeroskip.model.network.container import naming, read

    start = time.monotonic()
    require_tools(Simulator(simulator))
    report = report or Path(str(network).removesuffix(".zs") + ".html")
    for path in (report, outputs):
        if path is not None:
            require_writable(path, network, Path(data))
    container = read(network)
    if container.core == "mma":
        options.refuse_panel(context, options.EIE_PANEL, f"{network}, a network for the N:M tile,")
        with naming(network):
            tile_network = mma_bundle.from_container(container)
        simulate_mma(
            network,
            tile_network,
            data=data,
            limit=limit,
            outputs=outputs,
            simulator=Simulator(simulator),
            seed=seed,
            as_json=as_json,
        )
        return
    with naming(network):
        compiled = bundle.from_container(container)
    values, labels = load_samples(data, "test")
    values, labels = values[:limit], None if labels is None else labels[:limit]
    inputs, clipped = quantise_inputs(compiled, values, saturate=saturate)
    require_classes(data, labels, compiled.outputs)
    verification = _verify(compiled, inputs, Simulator(simulator), seed)
    accuracy = None if labels is None else {"hardware": accuracy_of(verification.outputs, labels)}
    if outputs is not None:
        _save_outputs(outputs, compiled, verification)

    summary: dict[str, Any] = {
        "network": str(network),
        **verification.summary(),
        "accuracy": accuracy,
        "bits": _bits(compiled),
        "clipped_inputs": clipped,
        "report": str(report),
    }
    rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in (accuracy or {}).items()]
    rows += [("inputs clipped", f"{clipped:,}"), ("report", str(report)), *verification.rows()]
    write_report(
        report,
        title=f"zeroskip: {network.name}",
        network=compiled,
        run=verification.run,
        mismatches=verification.mismatches,
        accuracy=accuracy,
        facts={"data": data, **dict(verification.rows())},
    )
    summary["seconds"] = seconds = time.monotonic() - start
    show(summary, rows, title=f"{network.name} on the EIE array, {seconds:.1f} s", as_json=as_json)
    if not verification.equal:
        raise typer.Exit(1)


def _verify(network: EieNetwork, inputs: NDArray[np.int16], simulator: Simulator, seed: int) -> Verification:
    from zeroskip.cosim.eie.verify import verify

    with progress_bar() as bar:
        task = bar.add_task("RTL", total=len(inputs))
        return verify(
            network,
            inputs,
            simulator=simulator,
            seed=seed,
            progress=lambda done: bar.update(task, completed=done),
        )


def _pictures(data: Dataset) -> Dataset:
    """The same images as convolutions take them: of one channel."""
    return dataclasses.replace(
        data,
        train_inputs=data.train_inputs.reshape(-1, 1, 28, 28),
        test_inputs=data.test_inputs.reshape(-1, 1, 28, 28),
    )


def _hardware_accuracy(
    network: EieNetwork, verification: Verification, inputs: NDArray[np.int16], labels: NDArray[np.int64]
) -> dict[str, float]:
    """Of all images: on the hardware where it ran them all, else by the golden model, whose every bit it equals."""
    from zeroskip.model.data.dataset import accuracy as accuracy_of
    from zeroskip.model.eie import golden as golden

    if len(verification.run.cycles) == len(inputs):
        return {"hardware": accuracy_of(verification.outputs, labels)}
    return {"golden": accuracy_of(golden.outputs(network, inputs), labels)}


def _bits(network: EieNetwork) -> dict[str, float]:
    from zeroskip.model.eie.storage import storage

    stored = storage(network)
    return {"dense": stored.dense, "image": stored.image, "ratio": stored.ratio}


def _save_outputs(path: Path, network: EieNetwork, verification: Verification) -> None:
    from zeroskip.model.eie.compiler import float_outputs
    from zeroskip.model.files import save_npz

    outputs = verification.outputs
    save_npz(path, outputs=float_outputs(network, outputs), raw=outputs, cycles=verification.run.cycles)
