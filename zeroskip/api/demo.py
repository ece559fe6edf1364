"""`zeroskip.demo`: from an untrained network to the RTL of a core, in one call. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from zeroskip.api.checks import own_settings, require_at_least, require_settings, typed
from zeroskip.api.paths import optional_path, require_writable, reserves
from zeroskip.api.told import keeps_warnings
from zeroskip.cosim.simulator import SimulatorName
from zeroskip.model.cores import DEFAULT, core_entry
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.api.recipe import Prepared
    from zeroskip.cosim.verify import Verification
    from zeroskip.model.core import StoredBits
    from zeroskip.model.data.dataset import Dataset
    from zeroskip.model.network.losses import Loss

DemoData = Literal["digits", "fashion-mnist"]
DemoNetwork = Literal["lenet-300-100", "lenet-5"]

LENET_5_IMAGES = 500
"""Test images of lenet-5 on the RTL by default: its convolutions take long."""


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """`dataset` is digits, or Fashion-MNIST from the four IDX files in `folder`; for the latter, `network` is fully
    connected or has convolutions. `own` are settings of the core's own demo, such as EieDemoSettings; None means
    their defaults. `limit` test images run on the RTL; None means all, or LENET_5_IMAGES for lenet-5."""

    core: str = DEFAULT
    dataset: DemoData = "digits"
    folder: Path | str | None = None
    network: DemoNetwork = "lenet-300-100"
    own: Any = None
    limit: int | None = None
    simulator: SimulatorName = "verilator"
    seed: int = 0

    def __post_init__(self) -> None:
        require_settings(self, dataset=DemoData, network=DemoNetwork, simulator=SimulatorName)
        require_at_least(self, limit=1, seed=0)
        if self.network == "lenet-5" and self.dataset == "digits":
            raise ValueError("dataset must be fashion-mnist for lenet-5, which takes 28x28 pixels, not 'digits'")

    @property
    def title(self) -> str:
        return "lenet-5" if self.network == "lenet-5" else self.dataset

    @property
    def folder_name(self) -> Path:
        """The default folder of the demo's files."""
        return Path("runs") / (self.title if self.core == DEFAULT else f"{self.title}-{self.core}")


class CoreDemo(Protocol):
    """The demo of a core: `DEMO` in the core's room in the API, `zeroskip.api.<core>.demo`."""

    settings_type: type
    """The frozen dataclass of the core's own demo settings; every field has a default."""

    def core_settings(self, title: str, settings: Any) -> Any:
        """The compile settings of the core for the demo's network `title`."""
        ...

    def prepare(
        self, module: nn.Module, dataset: Dataset, title: str, seed: int, checkpoint: Path, progress: Progress
    ) -> Prepared:
        """Trains and prunes the demo's network `title` with the settings chosen for it."""
        ...


def load_demo(core: str) -> CoreDemo:
    """The demo of a core. Raises ValueError for an unknown name."""
    demo: CoreDemo = import_module(f"zeroskip.api.{core_entry(core).name}.demo").DEMO
    return demo


@dataclass(frozen=True, kw_only=True, eq=False)
class Demonstration:
    """The demo's network on the RTL, with its accuracies.

    `accuracy` are fractions of the test split by step: of the preparation, of the golden model ("golden") and, if
    all images ran on the RTL, of the hardware. `kept` of `total` weights are not zero. `losses` are what the core's
    formats lost of the network and, in the golden model, of all images of the test split.
    """

    title: str
    verification: Verification
    accuracy: dict[str, float]
    kept: int
    total: int
    bits: StoredBits
    clipped_inputs: int
    losses: tuple[Loss, ...]
    report: Path
    seconds: float
    warnings: tuple[str, ...] = ()
    """What was warned of: losses that are much."""

    @property
    def equal(self) -> bool:
        """Whether every bit is that of the golden model, and every cycle that of the cycle model."""
        return self.verification.equal

    def summary(self) -> dict[str, Any]:
        """What `zeroskip demo --json` prints: the same keys for every core; `geometry`, the kinds of `saturated` and
        the steps of `accuracy` are the core's own."""
        return {
            "dataset": self.title,
            **self.verification.summary(),
            "accuracy": self.accuracy,
            "weights": {"total": self.total, "kept": self.kept, "ratio": self.total / self.kept},
            "bits": self.bits.summary(),
            "clipped_inputs": self.clipped_inputs,
            "lost": [loss.summary() for loss in self.losses if loss.much],
            "warnings": list(self.warnings),
            "report": str(self.report),
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        return [
            *((f"accuracy, {step}", f"{value:.2%}") for step, value in self.accuracy.items()),
            ("weights kept", f"{self.kept:,} of {self.total:,} (1 : {self.total / self.kept:.1f})"),
            ("bits, dense and compiled", f"{self.bits.dense:,} and {self.bits.image:,} (1 : {self.bits.ratio:.1f})"),
            ("report", str(self.report)),
            *self.verification.rows(),
        ]


@typed
def demo(
    *, settings: DemoSettings | None = None, output: Path | str | None = None, progress: Progress = silent
) -> Demonstration:
    """Train, prune, compile and run a network on the RTL, over the images of the test split.

    The folder `output` receives the compiled network (network.zs), the report (report.html) and the state of the
    training; by default it is DemoSettings.folder_name. Training that was cut short continues from there.

    Raises ValueError if settings do not go together, OSError where the data are missing or a file cannot be written,
    and SimulatorError where the simulator is missing or fails.
    """
    settings = settings or DemoSettings()
    return _demonstrate(settings, output=Path(output or settings.folder_name), progress=progress)


def _files(folder: Path) -> list[Path]:
    """All that a demo writes."""
    return [folder / name for name in ("network.zs", "training.safetensors", "report.html", "report.vcd")]


@reserves("output", beside=_files)
@keeps_warnings
def _demonstrate(settings: DemoSettings, *, output: Path, progress: Progress) -> Demonstration:
    start = time.monotonic()
    core_demo = load_demo(settings.core)
    own = own_settings(settings.own, core_demo.settings_type, settings.core)
    progress(Step(task="loading torch"))
    from zeroskip.cosim.simulator import Simulator, require_tools

    simulator = Simulator(settings.simulator)
    require_tools(simulator)
    dataset, module = _inputs(settings)
    core_settings = core_demo.core_settings(settings.title, own)
    require_writable(output / "network.zs", suffix=".zs")
    prepared = core_demo.prepare(
        module, dataset, settings.title, settings.seed, output / "training.safetensors", progress
    )
    progress(Step(task="compiling"))
    from zeroskip.cosim.drivers import load_driver
    from zeroskip.cosim.report.page import write_report
    from zeroskip.cosim.verify import verify
    from zeroskip.model.core import golden_run, weight_losses
    from zeroskip.model.cores import load_core
    from zeroskip.model.data.dataset import accuracy as accuracy_of
    from zeroskip.model.network.losses import warn_of

    core = load_core(settings.core)
    network = core.compile(prepared.source, prepared.inputs, core_settings, progress)
    core.save(network, output / "network.zs")
    inputs, clipped = load_driver(settings.core).encode(network, dataset.test_inputs, saturate=True)
    limit = settings.limit or (LENET_5_IMAGES if settings.network == "lenet-5" else None)
    report = output / "report.html"
    verification = verify(
        network,
        inputs[:limit],
        simulator=simulator,
        seed=settings.seed,
        waveform=report.with_suffix(".vcd"),
        progress=progress,
    )
    golden = golden_run(core, network, dataset.test_inputs, progress)
    losses = (*weight_losses(core, network, prepared.source), *golden.losses)
    warn_of(losses)
    accuracy = {**prepared.accuracy, "golden": accuracy_of(golden.outputs, dataset.test_labels)}
    if verification.images == len(inputs):
        accuracy["hardware"] = accuracy_of(verification.outputs, dataset.test_labels)
    progress(Step(task="writing the report"))
    write_report(
        report,
        title=f"zeroskip demo: {settings.title}",
        verification=verification,
        accuracy=accuracy,
        facts={
            "data set": f"{settings.dataset}, test split",
            "seed": str(settings.seed),
            **dict(verification.rows()),
        },
    )
    return Demonstration(
        title=settings.title,
        verification=verification,
        accuracy=accuracy,
        kept=prepared.kept,
        total=prepared.total,
        bits=core.stored_bits(network),
        clipped_inputs=clipped,
        losses=losses,
        report=report,
        seconds=time.monotonic() - start,
    )


def _inputs(settings: DemoSettings) -> tuple[Dataset, nn.Module]:
    from zeroskip.model.data.digits import load_digits
    from zeroskip.model.data.fashion import load_fashion_mnist
    from zeroskip.model.networks import digits_mlp, lenet_5, lenet_300_100

    if settings.dataset == "digits":
        return load_digits(), digits_mlp(seed=settings.seed)
    data = load_fashion_mnist(optional_path(settings.folder))
    if settings.network == "lenet-300-100":
        return data, lenet_300_100(seed=settings.seed)
    images = (-1, 1, 28, 28)
    data = dataclasses.replace(
        data, train_inputs=data.train_inputs.reshape(images), test_inputs=data.test_inputs.reshape(images)
    )
    return data, lenet_5(seed=settings.seed)
