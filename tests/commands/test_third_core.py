"""A core that zeroskip does not know: an entry in the registry and its rooms are all that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

TOY = '''
"""Registers a core `toy` with its rooms as modules that exist in memory alone, then runs the command line."""
import dataclasses
import sys
import types
from typing import Annotated

import typer

from zeroskip.model import cores

cores.CORES["toy"] = cores.CoreEntry(name="toy", title="Toy", help="which only the test knows", costs=("toy-cycles",))


def room(name, **contents):
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    bits: int = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    bits: Annotated[int, typer.Option(help="Bits of a toy.")] = 5

    def settings(self):
        return Settings(bits=self.bits)


@dataclasses.dataclass(frozen=True)
class Geometry:
    bits: int


class Recipe:
    settings_type = Settings

    def core_settings(self, settings):
        return Geometry(settings.bits)

    def check(self, settings, plan):
        pass

    def prepare(self, module, data, settings, plan, progress):
        from zeroskip.api.recipe import Prepared

        test = data.samples("test")
        return Prepared(source=module, inputs=test[0], accuracy={}, test=test, kept=1, total=2)


class Core:
    """Weights are rounded to whole numbers, and that is all."""

    name, title, costs, settings_type = "toy", "Toy", ("toy-cycles",), Geometry

    def compile(self, network, inputs, settings, progress):
        from zeroskip.model.network.fold import fold
        from zeroskip.model.network.lower import lower
        from zeroskip.model.network.operations import operations
        from zeroskip.model.network.staged import StagedNetwork

        found = operations(fold(network))
        lowered = lower([operation for operation, _ in found], inputs.shape[1:])
        compiled = StagedNetwork(
            geometry=settings, layers=tuple(found[source][0] for source in lowered.sources), stages=lowered.stages
        )
        vars(compiled)["weights"] = [found[source][1].weight.detach().round().numpy() for source in lowered.sources]
        return compiled

    def outputs(self, network, inputs):
        from zeroskip.model.network.run import run_stages

        def run_stage(stage, rows):
            for index in stage.layers:
                rows = rows @ network.weights[index].T
            return rows

        return run_stages(network.stages, inputs.reshape(len(inputs), -1), run_stage)

    def save(self, network, path):
        path.write_text("toy")

    def rounded_to_zero(self, network, source):
        return 0

    def stored_bits(self, network):
        from zeroskip.model.core import StoredBits

        return StoredBits(dense=64, image=8)

    def layer_facts(self, network):
        return [("bits", str(network.geometry.bits))]


room("zeroskip.model.toy")
room("zeroskip.model.toy.core", CORE=Core())
room("zeroskip.api.toy")
room("zeroskip.api.toy.compile", RECIPE=Recipe())
room("zeroskip.commands.toy")
room("zeroskip.commands.toy.options", CompileOptions=Options)
room("zeroskip.commands.toy.commands", COMMANDS={}, IN_GROUPS={})

from zeroskip.cli import main

main()
'''

NETWORK = "from torch import nn\ndef net():\n    return nn.Linear(4, 2, bias=False)\n"


def toy(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line with the core `toy`."""
    (folder / "start_toy.py").write_text(TOY)
    return subprocess.run(
        [sys.executable, folder / "start_toy.py", *arguments], capture_output=True, text=True, cwd=folder
    )


def test_it_compiles_a_network(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(NETWORK)
    np.savez(tmp_path / "data.npz", inputs=np.eye(4, dtype=np.float32), labels=[0, 0, 0, 0])
    arguments = ("compile", "mynet:net", "--data", "data.npz", "--output", "net.zs", "--core", "toy", "--bits", "7")
    done = toy(tmp_path, *arguments, "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["core"], result["geometry"], result["bits"]["ratio"]) == ("toy", {"bits": 7}, 8)
    assert set(result["accuracy"]) == {"golden"}
    assert (tmp_path / "net.zs").read_text() == "toy"


def test_its_options_have_a_heading_of_their_own(tmp_path: Path) -> None:
    done = toy(tmp_path, "compile", "--help")

    assert done.returncode == 0, done.stderr
    assert done.stdout.index(" Toy ") < done.stdout.index("Bits of a toy.")
    assert "which only the test knows" in " ".join(done.stdout.replace("│", " ").split())


def test_other_cores_refuse_its_options(tmp_path: Path) -> None:
    done = toy(tmp_path, "compile", "mynet:net", "--data", "data.npz", "--output", "net.zs", "--bits", "7")

    assert done.returncode == 1
    assert done.stderr.startswith("error: --bits is an option of the Toy, which --core ")
