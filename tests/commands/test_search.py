"""A user's own network through the search, fine-tuning, compilation and the RTL."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from zeroskip.api.eie.bench_search import SearchBenchResult, SearchBenchSettings
from zeroskip.commands.console import show_tables
from zeroskip.model.cores import CORES
from zeroskip.model.data.named import load_data
from zeroskip.model.loading import load_network
from zeroskip.model.pruning.training import evaluate
from zeroskip.model.search.methods.torch_pruning import PRUNERS

ARRAY, TILE = list(CORES)[:2]
ZEROSKIP = (sys.executable, "-m", "zeroskip")

Command = Callable[..., tuple[int, str, str]]

NETWORK = ("mynet:Net", "--weights", "weights.safetensors", "--data", "data.npz")
SEARCH = ("search", "sensitivity", *NETWORK, "--output", "plan.json", "--json")


@pytest.fixture
def learned(zs: Command, tmp_path: Path) -> Command:
    """The network's weights, trained: what the tests find and lose means something."""
    plan = {
        "version": 1,
        "granularity": "weights",
        "layers": [
            {"name": "first", "shape": [20, 30], "density": 1.0},
            {"name": "second", "shape": [4, 20], "density": 1.0},
        ],
        "method": "none",
        "cost": "params",
        "budget": 1.0,
        "reached": 1.0,
    }
    (tmp_path / "dense.json").write_text(json.dumps(plan))
    finetune = ("finetune", *NETWORK, "--plan", "dense.json", "--output", "weights.safetensors")
    code, _, err = zs(*finetune, "--epochs", 12, "--learning-rate", 0.05)
    assert code == 0, err
    return zs


def test_from_weights_to_rtl(learned: Command, tmp_path: Path) -> None:
    """Four commands, each with the files of the one before: search, fine-tuning, compilation, simulation."""
    code, out, err = learned(*SEARCH, "--budget", 0.5, "--pes", 4)
    assert code == 0, err
    found = json.loads(out)
    assert found["cost"]["name"] == "eie-cycles"
    assert found["cost"]["plan"] <= 0.5 * found["cost"]["dense"]
    assert found["cost"]["exact"] == pytest.approx(found["cost"]["plan"], rel=0.25)
    assert found["accuracy"]["dense"] > 0.9
    for name in ("plan.json", "plan.png", "plan.curves.csv", "plan.curves.json", "plan.curves.png"):
        assert (tmp_path / name).stat().st_size > 0

    finetune = ("finetune", *NETWORK, "--plan", "plan.json", "--output", "pruned.safetensors", "--json")
    code, out, err = learned(*finetune, "--schedule", "iterative", "--rounds", 3, "--epochs", 3)
    assert code == 0, err
    tuned = json.loads(out)
    assert tuned["accuracy"]["finetuned"] >= tuned["accuracy"]["pruned"]
    assert tuned["accuracy"]["finetuned"] > 0.9
    weights = load_file(tmp_path / "pruned.safetensors")
    for name, density in found["layers"].items():
        kept = (weights[f"{name}.weight"] != 0).double().mean().item()
        assert kept == pytest.approx(density, abs=0.01)

    network = ("mynet:Net", "--weights", "pruned.safetensors", "--data", "data.npz", "--output", "net.zs", "--pes", 4)
    assert learned("compile", *network)[0] == 0
    code, out, err = learned("simulate", "net.zs", "--data", "data.npz", "--limit", 20, "--json")
    assert code == 0, err
    assert json.loads(out)["mismatches"] == 0


CNN = """
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 12, 3)
        self.fc1 = nn.Linear(12 * 2 * 2, 24)
        self.drop = nn.Dropout(0.1)
        self.fc2 = nn.Linear(24, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv1(x))), 2)
        x = F.relu(self.conv2(x)).view(-1, 12 * 2 * 2)
        return self.fc2(self.drop(F.relu(self.fc1(x))))
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a user's own network as people write them, its trained weights, and its data."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "usercnn.py").write_text(CNN)
    digits = load_data("digits", 0)
    np.savez(folder / "digits.npz", images=digits.train_inputs, labels=digits.train_labels)
    np.savez(folder / "few.npz", images=digits.test_inputs[:8], labels=digits.test_labels[:8])
    command = "train usercnn.py:Net --data digits.npz --epochs 12 --learning-rate 0.05 --output weights.safetensors"
    code, _, err = in_a_process(folder, *command.split())
    assert code == 0, err
    return folder


def in_a_process(folder: Path, *arguments: object) -> tuple[int, str, str]:
    done = subprocess.run([*ZEROSKIP, *map(str, arguments)], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def there(zs: Command, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in the folder of `pictures`, in this process: most of them are short, and importing torch is
    not."""
    monkeypatch.chdir(pictures)
    return zs


SHORT = {
    "sensitivity": (),
    "amc": ("--episodes", 30, "--warm-up", 10),
    "netadapt": ("--step", 0.2, "--iterations", 3),
}


@pytest.mark.parametrize(
    ("method", "granularity", "cost", "budget"),
    [
        ("sensitivity", "channels", "macs", 0.5),
        ("amc", "channels", "eie-cycles", 0.88),
        ("netadapt", "channels", "bytes", 0.7),
        ("amc", "weights", "eie-cycles", 0.95),
        ("netadapt", "nm", "mma-cycles", 0.9),
    ],
)
def test_a_users_own_network(
    there: Command, pictures: Path, method: str, granularity: str, cost: str, budget: float
) -> None:
    """From weights and data in files to the RTL, without a change of the user's code."""
    name = f"{method}-{granularity}"
    network = ("usercnn.py:Net", "--data", "digits.npz", "--weights")
    search = ("search", method, *network, "weights.safetensors", "--granularity", granularity, "--cost", cost)
    options = ("--budget", budget, "--output", f"{name}.json", "--json")
    code, out, err = there(*search, *options, *SHORT[method])
    assert code == 0, err
    found = json.loads(out)
    assert found["cost"]["reached"] <= budget
    assert found["accuracy"]["dense"] > 0.9
    assert all((pictures / file).stat().st_size > 0 for file in found["files"])
    tuned = f"{name}.safetensors"
    arguments = ("--plan", f"{name}.json", "--epochs", 5, "--output", tuned, "--json")
    code, out, err = there("finetune", *network, "weights.safetensors", *arguments)
    assert code == 0, err
    result = json.loads(out)
    assert result["density"] == pytest.approx(found["density"], abs=1e-4)
    assert result["accuracy"]["finetuned"] > 0.8
    core = TILE if granularity == "nm" else ARRAY
    code, out, err = there("compile", *network, tuned, "--core", core, "--output", f"{name}.zs")
    assert code == 0, err
    code, out, err = there("simulate", f"{name}.zs", "--data", "few.npz", "--json")
    assert code == 0, err
    ran = json.loads(out)
    assert ran["mismatches"] == 0
    if cost == "eie-cycles":
        # The activations of the tuned network and the load balancing make the difference.
        assert ran["cycles_per_image"]["mean"] == pytest.approx(found["cost"]["plan"], rel=0.35)


def test_the_long_fine_tuning_goes_on_from_the_adapted_weights(there: Command) -> None:
    """By default, as if they were given; the dense ones, if these are asked for and are not fitted, are worse."""
    network = ("usercnn.py:Net", "--data", "digits.npz", "--weights")
    search = ("search", "netadapt", *network, "weights.safetensors", "--granularity", "channels", "--cost", "macs")
    code, _, err = there(*search, "--step", 0.2, "--iterations", 40, "--short-rate", 0.01, "--output", "long.json")
    assert code == 0, err
    before = []
    for weights in (
        ("weights.safetensors",),
        ("long.adapted.safetensors",),
        ("weights.safetensors", "--from-dense", "--no-refit"),
    ):
        arguments = ("--plan", "long.json", "--epochs", 0, "--output", "long.safetensors", "--json")
        code, out, err = there("finetune", *network, *weights, *arguments)
        assert code == 0, err
        before.append(json.loads(out)["accuracy"]["pruned"])
    assert before[0] == before[1] >= before[2]


@pytest.mark.parametrize("core", CORES)
def test_a_data_set_by_its_name_on_the_rtl(there: Command, pictures: Path, core: str) -> None:
    """Accuracy is that of the test split, which the network has not been trained on."""
    network = ("usercnn.py:Net", "--weights", "weights.safetensors", "--data", "digits")
    code, out, err = there("compile", *network, "--core", core, "--output", "named.zs", "--json")
    assert code == 0, err
    digits = load_data("digits", 0)
    module, _ = load_network(f"{pictures / 'usercnn.py'}:Net", pictures / "weights.safetensors")
    expected = evaluate(module, torch.from_numpy(digits.test_inputs), torch.from_numpy(digits.test_labels))
    assert json.loads(out)["accuracy"]["golden"] == pytest.approx(expected, abs=0.02)
    simulate = ("simulate", "named.zs", "--data", "digits", "--limit", 30, "--json")
    code, out, err = there(*simulate)
    assert code == 0, err
    assert json.loads(out)["mismatches"] == 0
    first = evaluate(module, torch.from_numpy(digits.test_inputs[:30]), torch.from_numpy(digits.test_labels[:30]))
    assert json.loads(out)["accuracy"]["hardware"] == pytest.approx(first, abs=0.04)


@pytest.mark.parametrize(
    ("method", "granularity", "cost", "budget"),
    [*((method, "channels", "macs", 0.5) for method in SHORT), ("netadapt", "weights", "eie-cycles", 0.95)],
)
def test_killed_and_resumed(pictures: Path, method: str, granularity: str, cost: str, budget: float) -> None:
    """kill -9 in the middle: the same plan as that of a search that was left alone, and the same trained weights. One
    fills its cost table by kernels on all cores, the other finds it."""
    search = ("search", method, "usercnn.py:Net", "--weights", "weights.safetensors", "--data", "digits.npz")
    options = ("--budget", budget, "--cost", cost, "--granularity", granularity, *SHORT[method])
    # So small a budget for cycles is reached in one step otherwise.
    options += ("--step", 0.02) if cost == "eie-cycles" else ()
    # In folders of their own, as accuracies are kept beside plans.
    whole, cut = (pictures / f"{which}-{method}-{cost}/plan.json" for which in ("whole", "cut"))
    code, _, err = in_a_process(pictures, *search, *options, "--output", whole, "--json")
    assert code == 0, err
    journal = Path(f"{cut}.journal")
    arguments = [*ZEROSKIP, *search, *options, "--output", cut]
    running = subprocess.Popen(list(map(str, arguments)), cwd=pictures, stderr=subprocess.DEVNULL)
    while running.poll() is None and not (journal.exists() and journal.read_text().count("\n") > 6):
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "it was to be killed before its end"
    assert not cut.exists()
    code, _, err = in_a_process(pictures, *search, *options, "--output", cut, "--json", "--resume")
    assert code == 0, err
    assert cut.read_bytes() == whole.read_bytes()
    assert journal.read_text() == Path(f"{whole}.journal").read_text()
    if method == "netadapt":
        trained = ".adapted.safetensors"
        assert cut.with_suffix(trained).read_bytes() == whole.with_suffix(trained).read_bytes()


def test_comparison(there: Command, pictures: Path) -> None:
    """One run is expensive: each policy's figures agree with its trials, and a resumed run gives the same."""
    search = ("search", "compare", "usercnn.py:Net", "--weights", "weights.safetensors", "--data", "digits.npz")
    options = ("--granularity", "channels", "--cost", "macs", "--seeds", 2, "--epochs", 1, "--output", "all.json")
    budgets = ("--budgets", "0.5,0.6")
    short = (*SHORT["amc"], *SHORT["netadapt"])
    code, out, err = there(*search, *options, *budgets, *short, "--workers", 2, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert json.loads((pictures / "all.json").read_text()) == result
    assert [one["budget"] for one in result["budgets"]] == [0.6, 0.5]
    rules = [name + fit for name in ("uniform", "lamp", "global") for fit in ("", "+fit")]
    for one in result["budgets"]:
        assert list(one["policies"]) == [*rules, "sensitivity", "netadapt", "amc"]
        for name, policy in one["policies"].items():
            assert 0 < policy["cost"] <= one["budget"]
            assert policy["exact"] is None, "a table of macs is exact"
            assert len(policy["trials"]) == (1 if name in rules else 2)
            afters = [after for trial in policy["trials"] for after in trial["after"]]
            assert len(afters) == 2 * len(policy["trials"])
            assert policy["after"] == pytest.approx(np.mean(afters))
            assert policy["std"] == pytest.approx(np.std(afters, ddof=1))
            assert policy["seconds"] > 0
    assert (pictures / "all.png").read_bytes()[:4] == b"\x89PNG"
    # With everything in its journals there is nothing left to do.
    code, again, err = there(*search, *options, *budgets, *short, "--json", "--resume")
    assert code == 0, err
    assert json.loads(again)["budgets"] == result["budgets"]


def test_a_comparison_with_other_pruners(there: Command) -> None:
    """Torch-Pruning's networks meet the budget too, and are trained as they are."""
    pytest.importorskip("torch_pruning")
    search = ("search", "compare", "usercnn.py:Net", "--weights", "weights.safetensors", "--data", "digits.npz")
    options = ("--granularity", "channels", "--cost", "macs", "--budget", 0.5, "--seeds", 1, "--tunings", 1)
    short = (*SHORT["amc"], *SHORT["netadapt"], "--epochs", 1, "--output", "peers.json")
    code, out, err = there(*search, *options, *short, "--peers", "--json")
    assert code == 0, err
    found = json.loads(out)["budgets"][0]["policies"]
    theirs = [name for name in found if name.startswith("tp-")]
    assert theirs == [name + fit for name in PRUNERS for fit in ("", "+fit")]
    assert all(0 < found[name]["cost"] <= 0.5 for name in theirs)
    code, _, err = there(*search, *options, *short, "--peers", "--granularity", "weights")
    assert code == 1
    assert "peers must be off for weights: Torch-Pruning removes channels alone, not True" in re.sub(r"\s+", " ", err)


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ("0.5,x", "budgets must be numbers with commas between them, such as 0.5,0.25, not '0.5,x'"),
        ("0.5,0", "budget must be above 0 and at most 1, a fraction of the dense cost, not 0.0"),
        ("0.5,0.5", "budgets must differ from each other, not 0.5, 0.5"),
    ],
)
def test_budgets_that_cannot_be(zs: Command, tmp_path: Path, budgets: str, message: str) -> None:
    code, _, err = zs("search", "compare", *NETWORK, "--output", "all.json", "--budgets", budgets)
    assert code == 1
    assert message in re.sub(r"\s+", " ", err)
    assert not [*tmp_path.glob("all*")]


def test_the_table_of_plans_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = {"dense": 0.9, "after": 0.875, "std": 0.0125}
    row = {"cost": "macs", "kept": 0.25, "costs": {"macs": 0.5}, "rtl_cycles": 1234.0, "cycles_ratio": 1.5}
    plans = [{**row, "accuracy": accuracy, "mismatches": 0, "cycle_model_equal": True}]
    result = SearchBenchResult(network="mynet:Net", settings=SearchBenchSettings(), plans=plans, seconds=1.0)
    show_tables(result.summary(), result.tables(), result.notes(), as_json=False)
    out = capsys.readouterr().out
    shown = ("25.00%", "50.0%", "1,234", "1.50", "87.50% ± 1.25%", "yes", "dense: 90.00%")
    assert [text for text in shown if text not in out] == []


@pytest.mark.parametrize(("granularity", "least"), [("weights", 1), ("channels", 34)])
def test_what_cycles_pay(learned: Command, tmp_path: Path, granularity: str, least: int) -> None:
    """A plan for each cost, with the same number of weights, all on the RTL."""
    bench = ("bench", "search", *NETWORK, "--output", "bench.json", "--budget", 0.6, "--pes", 4)
    options = ("--granularity", granularity, "--epochs", 1, "--seeds", 2, "--images", 5, "--json")
    code, out, err = learned(*bench, *options)
    assert code == 0, err
    result = json.loads(out)
    assert json.loads((tmp_path / "bench.json").read_text()) == result
    first, *others = result["plans"]
    assert [plan["cost"] for plan in result["plans"]] == ["eie-cycles", "macs", "params"]
    assert first["costs"]["eie-cycles"] <= 0.6
    assert first["cycles_ratio"] == 1
    for plan in others:
        # So many of the 680 weights lie between what can be kept.
        assert first["kept"] - least / 680 < plan["kept"] <= first["kept"] < 1
        assert plan["cycles_ratio"] == plan["rtl_cycles"] / first["rtl_cycles"]
    for plan in result["plans"]:
        assert (plan["mismatches"], plan["cycle_model_equal"]) == (0, True)


def test_patterns(learned: Command) -> None:
    arguments = (*SEARCH, "--granularity", "nm", "--cost", "mma-cycles", "--budget", 0.65)
    code, out, err = learned(*arguments)
    assert code == 0, err
    found = json.loads(out)
    assert found["granularity"] == "2:4"
    assert set(found["layers"].values()) <= {0.5, 1.0}
    assert found["cost"]["exact"] == pytest.approx(found["cost"]["plan"])


def test_resume_gives_the_same_plan(learned: Command, tmp_path: Path) -> None:
    arguments = (*SEARCH, "--budget", 0.3, "--cost", "macs")
    code, out, _ = learned(*arguments)
    assert code == 0
    plan, journal = (tmp_path / "plan.json").read_bytes(), tmp_path / "plan.json.journal"
    everything = json.loads(out)["evaluations"]
    text = journal.read_text()
    journal.write_text(text[: len(text) // 2])
    (tmp_path / "plan.json").unlink()
    (tmp_path / ".search/accuracies.sqlite").unlink()
    code, out, err = learned(*arguments, "--resume")
    assert code == 0, err
    assert 0 < json.loads(out)["evaluations"] < everything
    assert (tmp_path / "plan.json").read_bytes() == plan


def test_nothing_is_measured_twice(learned: Command) -> None:
    """A scan for another budget, of another cost, starts from what the first has measured."""
    code, out, err = learned(*SEARCH, "--budget", 0.4, "--cost", "macs")
    assert code == 0, err
    assert json.loads(out)["evaluations"] > 10
    code, out, err = learned(*SEARCH, "--budget", 0.3, "--cost", "params")
    assert code == 0, err
    # The curves are known; the plans of the knapsack and of the four rules may be new.
    assert json.loads(out)["evaluations"] <= 5


def test_damaged_accuracies(learned: Command, tmp_path: Path) -> None:
    kept = tmp_path / ".search/accuracies.sqlite"
    kept.parent.mkdir()
    kept.write_text("no database" * 100)
    code, out, err = learned(*SEARCH, "--budget", 0.4, "--cost", "macs")
    assert (code, out) == (1, "")
    assert "must be a database of accuracies, but: file is not a database; delete it" in err
    assert kept.read_text() == "no database" * 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--budget", 0.001),
            "budget 0.001 of the dense eie-cycles cannot be met: the smallest cost that can be",
        ),
        (("--budget", 2), "budget must be above 0 and at most 1"),
        (("--budget", 0.5, "--cost", "mma-cycles"), "cost mma-cycles needs the granularity nm or channels"),
        (("--budget", 0.5, "--granularity", "nm", "--pattern", "dense"), "N:M pattern that prunes, not 'dense'"),
        (("--budget", 0.5, "--pes", 3), "pes must be a power of two"),
        (("--budget", 0.5, "--cost", "latency"), "cost latency needs the granularity channels"),
        (("--budget", 0.5, "--workers", "none"), "workers must be a number from 1, or ray, not 'none'"),
        (("--budget", 0.5, "--output", "weights.safetensors"), "output must end in .json, not '.safetensors'"),
        (("--budget", 0.5, "--episodes", 5), "--episodes is an option of AMC"),
        (
            ("--budget", 0.5, "--cost", "macs", "--pes", 4),
            "--pes is an option of the EIE array, which --cost macs does not",
        ),
        (("--budget", 0.5, "--m", 4), "--m is an option of the N:M tile, which --cost eie-cycles does not use"),
        (("--budget", 0.5, "--pattern", "1:4"), "--pattern means nothing with --granularity weights"),
    ],
)
def test_search_errors(zs: Command, tmp_path: Path, arguments: tuple[Any, ...], message: str) -> None:
    (tmp_path / "plan.json").write_text("what was there")
    code, out, err = zs(*SEARCH, *arguments)
    assert (code, out) == (1, "")
    assert message in re.sub(r"\s+", " ", err)
    assert (tmp_path / "plan.json").read_text() == "what was there"


@pytest.mark.parametrize("name", ["plan.adapted.safetensors", "plan.json"])
def test_what_is_read_is_not_overwritten(learned: Command, tmp_path: Path, name: str) -> None:
    """NetAdapt writes weights beside its plan."""
    weights = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / name).write_bytes(weights)
    arguments = [*SEARCH, "--budget", 0.5]
    arguments[arguments.index("sensitivity")] = "netadapt"
    arguments[arguments.index("weights.safetensors")] = name
    code, out, err = learned(*arguments)
    assert (code, out) == (1, "")
    assert f"{name} cannot be written: it is also an input" in re.sub(r"\s+", " ", err)
    assert (tmp_path / name).read_bytes() == weights


@pytest.mark.parametrize("cost", [f"{ARRAY}-cycles", f"{TILE}-cycles"])
@pytest.mark.parametrize("method", ["sensitivity", "compare"])
def test_a_network_that_compile_refuses(zs: Command, tmp_path: Path, cost: str, method: str) -> None:
    """Before anything is measured; and the search goes on where the user asks for it."""
    code = """
from torch import nn
def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(30, 20), nn.Softsign(), nn.Linear(20, 4))
"""
    (tmp_path / "soft.py").write_text(code)
    search = ("search", method, "soft.py:net", *NETWORK[3:], "--output", "plan.json", "--cost", cost)
    code, _, err = zs(*search)
    core = cost.removesuffix("-cycles")
    assert code == 1
    assert f"the network cannot be compiled for the {CORES[core].title}, whose cycles are the cost: " in err
    assert "Softsign" in err
    assert "--allow-uncompilable" in err
    assert not [*tmp_path.glob("plan*")]
    if method == "compare":
        return
    granularity = ("--granularity", "nm", "--budget", 0.8) if core == TILE else ("--budget", 0.7)
    code, _, err = zs(*search, *granularity, "--allow-uncompilable")
    assert code == 0, err
    assert "no " + cost + " by the exact model: the network cannot be compiled" in err


def test_data_without_labels(zs: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", inputs=np.zeros((10, 30)))
    code, _, err = zs(*SEARCH, "--budget", 0.5)
    assert code == 1
    assert "must have the key 'labels'" in re.sub(r"\s+", " ", err)


def test_finetune_errors(learned: Command, tmp_path: Path) -> None:
    plan = json.loads((tmp_path / "dense.json").read_text())
    plan["layers"][1]["shape"] = [5, 20]
    (tmp_path / "other.json").write_text(json.dumps(plan))
    arguments = ("finetune", *NETWORK, "--output", "out.safetensors")
    code, _, err = learned(*arguments, "--plan", "other.json")
    assert code == 1
    assert "layer 'second' has weights of (4, 20) in the network, but (5, 20)" in re.sub(r"\s+", " ", err)
    plan["layers"][1]["shape"] = [4, 20]
    (tmp_path / "pattern.json").write_text(json.dumps({**plan, "granularity": "2:4"}))
    code, _, err = learned(*arguments, "--plan", "pattern.json", "--schedule", "cubic")
    assert code == 1
    assert "schedule must be one-shot for 2:4" in re.sub(r"\s+", " ", err)
    assert not (tmp_path / "out.safetensors").exists()
