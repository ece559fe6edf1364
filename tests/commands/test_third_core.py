"""A core that zeroskip does not know: an entry in the registry and its rooms are all that it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

TOY = '''
"""Registers a core `toy` with its rooms as modules that exist in memory alone."""
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

    def prepare(self, module, folded, data, settings, plan, progress):
        from zeroskip.api.recipe import Prepared

        test = data.samples("test")
        return Prepared(source=module, inputs=test[0], accuracy={}, test=test, kept=1, total=2)


class Core:
    """Weights are rounded to whole numbers, and that is all."""

    name, title, settings_type = "toy", "Toy", Geometry

    def compile(self, network, inputs, settings, progress):
        from zeroskip.model.network.fold import fold
        from zeroskip.model.network.lower import lower
        from zeroskip.model.network.folded import operations
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


def cost_points(geometry):
    from zeroskip.model.core import CostPoints

    return CostPoints(channels=2, outputs_at_once=1, densities=(0.25, 1.0))


room("zeroskip.model.toy")
room("zeroskip.model.toy.core", CORE=Core())
room(
    "zeroskip.model.toy.costs",
    search_geometry=lambda pattern, sizes: Geometry(bits=5),
    layer_cost=lambda load, geometry: float(geometry.bits * load.kept.sum()),
    cost_points=cost_points,
)
room("zeroskip.api.toy")
room("zeroskip.api.toy.compile", RECIPE=Recipe())
room("zeroskip.commands.toy")
room("zeroskip.commands.toy.options", CompileOptions=Options)
room("zeroskip.commands.toy.commands", COMMANDS={}, IN_GROUPS={})
'''

COMMAND_LINE = """
from zeroskip.cli import main

main()
"""

COST = """
import numpy as np
from torch import nn

from zeroskip.api.search import SearchSettings
from zeroskip.model.search.costs.table import cost_table
from zeroskip.model.search.layers import read_layers

layers = read_layers(nn.Linear(4, 2), np.ones((1, 4), np.float32))
for cost in ("toy-cycles", "macs"):
    geometries = SearchSettings(cost=cost).geometries()
    print(cost, *geometries, cost_table(cost, layers, "weights", geometries=geometries).layer("", (0.5,)))
print(*(name for name in cores.CORES if f"zeroskip.model.{name}.core" in sys.modules), "loaded")
"""

NETWORK = "from torch import nn\ndef net():\n    return nn.Linear(4, 2, bias=False)\n"


def toy(folder: Path, *arguments: str, code: str = COMMAND_LINE) -> subprocess.CompletedProcess[str]:
    """`code`, by default the command line, with the core `toy`."""
    (folder / "start_toy.py").write_text(TOY + code)
    return subprocess.run(
        [sys.executable, folder / "start_toy.py", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
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


def test_its_cycles_are_a_cost_of_searches(tmp_path: Path) -> None:
    """Five cycles for each of four weights; no other core is asked, and none for a cost that needs none."""
    done = toy(tmp_path, code=COST)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["toy-cycles toy 20.0", "macs 4.0", "toy loaded"]


def test_search_offers_its_cost(tmp_path: Path) -> None:
    done = toy(tmp_path, "search", "--help")

    assert done.returncode == 0, done.stderr
    assert "toy-cycles" in done.stdout


def test_a_search_needs_no_options_of_it(tmp_path: Path) -> None:
    arguments = ("netadapt", "nowhere:net", "--data", "data.npz", "--output", "plan.json", "--cost", "toy-cycles")
    done = toy(tmp_path, "search", *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "nowhere" in done.stderr or "data.npz" in done.stderr
