"""The commands as a user runs them: a network of their own from file to RTL, and one clear error for what is wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from zeroskip.model.cores import CORES

ARRAY, TILE = list(CORES)[:2]

Command = Callable[..., tuple[int, str, str]]

COMPILE = ("compile", "mynet:Net", "--weights", "weights.safetensors", "--data", "data.npz", "--output", "net.zs")

SMALL = ("--pes", 2, "--entry-words", 64, "--pointers", 64, "--activation-rows", 32, "--layers", 2)
"""The array of tests/support/eie_settings.py, whose simulator is built once."""


def sizes(compiled: dict[str, Any]) -> list[tuple[int, int]]:
    """Inputs and outputs of each layer."""
    return [(layer["inputs"], layer["outputs"]) for layer in compiled["layers"]]


def test_compile_and_simulate(zs: Command, tmp_path: Path) -> None:
    """One network through both commands: what each says agrees with the files and with the other."""
    code, out, err = zs(*COMPILE, "--pes", 2, "--json")
    assert code == 0, err
    compiled = json.loads(out)
    assert sizes(compiled) == [(30, 20), (20, 4)]
    assert compiled["geometry"]["pes"] == 2
    assert compiled["weights"]["total"] == 30 * 20 + 20 * 4

    code, out, err = zs("simulate", "net.zs", "--data", "data.npz", "--outputs", "out.npz", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["images"], result["geometry"]["pes"], result["mismatches"]) == (200, 2, 0)
    assert result["cycle_model_equal"] is True
    assert result["accuracy"]["hardware"] == pytest.approx(compiled["accuracy"]["shared"], abs=0.02)
    saved = np.load(tmp_path / "out.npz")
    assert saved["outputs"].shape == saved["raw"].shape == (200, 4)
    assert int(saved["cycles"].sum()) == pytest.approx(result["cycles_per_image"]["mean"] * 200)
    assert "net.zs" in (tmp_path / "net.html").read_text()


def test_prune_learns_and_resumes(zs: Command, tmp_path: Path) -> None:
    arguments = [*COMPILE, "--density", 0.2, "--epochs", 8, "--json", "--seed", 3]
    code, out, err = zs(*arguments)
    assert code == 0, err
    result = json.loads(out)
    assert result["weights"]["ratio"] == pytest.approx(5, rel=0.02)
    assert result["accuracy"]["shared"] > 0.9
    first = (tmp_path / "net.zs").read_bytes()
    assert (tmp_path / "net.zs.ckpt").exists()
    zs(*arguments)
    assert (tmp_path / "net.zs").read_bytes() == first


def test_weights_of_few_values_are_kept_exactly(zs: Command, tmp_path: Path) -> None:
    (tmp_path / "exact.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(30, 5, bias=False), nn.ReLU())\n"
    )
    rng = np.random.default_rng(6)
    values = torch.tensor(rng.choice([0, 0.25, -0.5, 0.75], (5, 30)), dtype=torch.float32)
    save_file({"0.weight": values}, tmp_path / "exact.safetensors")
    inputs = rng.integers(-3, 4, (10, 30)).astype(np.float32)
    np.savez(tmp_path / "exact.npz", inputs=inputs)
    arguments = ("--data", "exact.npz", "--output", "exact.zs", "--weights", "exact.safetensors")
    assert zs("compile", "exact.py:net", *arguments, *SMALL)[0] == 0
    assert zs("simulate", "exact.zs", "--data", "exact.npz", "--outputs", "exact-out.npz")[0] == 0
    expected = np.maximum(inputs @ values.numpy().T, 0)
    assert np.array_equal(np.load(tmp_path / "exact-out.npz")["outputs"], expected)


CONVOLUTIONS = """
import torch
from torch import nn

def net():
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 4))
"""


def test_convolutions(zs: Command, tmp_path: Path) -> None:
    """One network through both commands: sizes in the table, cycles by layer in the JSON, starts in the report. 6 x 6
    positions in tiles of 2 x 6, which see 4 x 8 values and give 4 channels; and one by one."""
    (tmp_path / "convnet.py").write_text(CONVOLUTIONS)
    rng = np.random.default_rng(8)
    np.savez(tmp_path / "images.npz", inputs=rng.random((5, 1, 8, 8)), labels=rng.integers(0, 4, 5))
    sizes = ("--pes", 2, "--entry-words", 64, "--pointers", 128)
    compiling = ("compile", "convnet:net", "--data", "images.npz", "--output", "conv.zs", *sizes)
    for positions, starts, layer in (((), 3, "32 x 48 (x 3)"), (("--positions", 1), 36, "9 x 4 (x 36)")):
        code, out, err = zs(*compiling, *positions)
        assert code == 0, err
        assert "1x8x8 - 4x6x6 - 4x3x3 - 4" in out
        code, out, err = zs("simulate", "conv.zs", "--data", "images.npz", "--json")
        assert code == 0, err
        result = json.loads(out)
        assert (result["images"], result["mismatches"], result["cycle_model_equal"]) == (5, 0, True)
        assert sum(result["cycles_by_layer"]) + starts + 1 == pytest.approx(result["cycles_per_image"]["mean"])
        assert layer in (tmp_path / "conv.html").read_text()


def test_convolutions_take_images(zs: Command, tmp_path: Path) -> None:
    (tmp_path / "convnet.py").write_text(CONVOLUTIONS)
    np.savez(tmp_path / "images.npz", inputs=np.zeros((5, 64)))
    code, _, err = zs("compile", "convnet:net", "--data", "images.npz", "--output", "conv.zs", "--pes", 4)
    assert code == 1
    assert "inputs must be samples x channels x height x width, as the network takes, not (5, 64)" in err


def test_average_pooling_from_a_factory_with_arguments(zs: Command, tmp_path: Path) -> None:
    """A network of our own that ends in global average pooling, pruned, on both cores, down to the RTL."""
    rng = np.random.default_rng(9)
    np.savez(tmp_path / "images.npz", inputs=rng.random((30, 1, 8, 8)), labels=rng.integers(0, 3, 30))
    network = ("compile", "zeroskip.networks:plain_20(width=0.125, inputs=1, classes=3)", "--data", "images.npz")
    code, out, err = zs(*network, "--output", f"{ARRAY}.zs", "--pes", 4, "--density", 0.5, "--json")
    assert code == 0, err
    compiled = json.loads(out)
    assert sizes(compiled)[-2:] == [(8 * 2 * 2, 8), (8, 3)]
    weights = 9 * (2 + 6 * 2 * 2 + 2 * 4 + 5 * 4 * 4 + 4 * 8 + 5 * 8 * 8) + 8 * 3
    assert compiled["weights"]["total"] == weights
    code, _, err = zs(*network, "--output", f"{TILE}.zs", "--core", TILE, "--prune", "--epochs", 1)
    assert code == 0, err
    for core in (ARRAY, TILE):
        code, out, err = zs("simulate", f"{core}.zs", "--data", "images.npz", "--limit", 1, "--json")
        assert code == 0, err
        assert json.loads(out)["mismatches"] == 0


def test_tables_are_for_people(zs: Command) -> None:
    code, out, _ = zs(*COMPILE, *SMALL)
    assert code == 0
    assert "weights kept" in out
    code, out, _ = zs("simulate", "net.zs", "--data", "data.npz", "--limit", 3)
    assert code == 0
    assert "0 mismatches" in out


def damage(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / path).write_bytes(change((folder / path).read_bytes())) and None


def with_weights(**changes: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import mynet

        state = mynet.Net().state_dict()
        for name, value in changes.items():
            name = name.replace("__", ".")
            if value is None:
                del state[name]
            else:
                state[name] = value
        save_file(state, folder / "weights.safetensors")

    return write


def with_data(**arrays: Any) -> Callable[[Path], None]:
    return lambda folder: np.savez(folder / "data.npz", **arrays)


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [
        (None, ["compile", "mynet", *COMPILE[2:]], "the network must be named MODULE:FACTORY, as in mynets:lenet"),
        (None, ["compile", "nonet:Net", *COMPILE[2:]], "there is no module 'nonet': no nonet.py in /"),
        (None, ["compile", "no.py:Net", *COMPILE[2:]], "no.py is not a Python file"),
        (None, ["compile", "mynet:Nothing", *COMPILE[2:]], "/mynet.py has no function or class 'Nothing'"),
        (None, ["compile", "mynet:number", *COMPILE[2:]], "mynet:number must return a torch.nn.Module, not int"),
        (None, ["compile", "mynet:", *COMPILE[2:]], "the network must be named MODULE:FACTORY, as in mynets:lenet"),
        (None, ["compile", "mynet:Net(3)", *COMPILE[2:]], "arguments must be named, each once, and have literal val"),
        (None, ["compile", "mynet:Net(a=b)", *COMPILE[2:]], "as in (width=0.25, classes=10), not (a=b)"),
        (None, ["compile", "mynet:Net(a=1, a=2)", *COMPILE[2:]], "(width=0.25, classes=10), not (a=1, a=2)"),
        (None, ["compile", "mynet:Net(**{'a': 1})", *COMPILE[2:]], "must be named, each once, and have literal values"),
        (None, ["compile", "mynet:Net()()", *COMPILE[2:]], "must be named, each once, and have literal values"),
        (None, ["compile", "mynet:Net(a=1", *COMPILE[2:]], "the network must be named MODULE:FACTORY, as in mynets:le"),
        (None, ["compile", "mynet:Net(a=1)", *COMPILE[2:]], "mynet:Net(a=1) failed: TypeError: "),
        (None, ["compile", "mynet:conv", *COMPILE[4:]], "layer '0' is a Conv3d"),
        (None, [*COMPILE, "--pes", "3"], "pes must be a power of two from 1 to 256, not 3"),
        (None, [*COMPILE, "--index-bits", "9"], "index_bits must be from 2 to 8, not 9"),
        (None, [*COMPILE, "--pes", "1", "--entry-words", "64"], "entry_words is 64 and 88 are needed"),
        (None, [*COMPILE, "--pointers", "32"], "pointers is 32 and 54 are needed, 22 too few"),
        (None, [*COMPILE, "--layers", "1"], "layers is 1 and 2 are needed, 1 too few"),
        (None, [*COMPILE[:-3], "nothing.npz", *COMPILE[-2:]], "nothing.npz does not exist or is not a file"),
        (damage("weights.safetensors", lambda data: data[:-5]), COMPILE, "not a complete safetensors file"),
        (damage("weights.safetensors", lambda data: b"\x80\x02}q\x00."), COMPILE, "pickles (.pt, .pth) are never load"),
        (damage("data.npz", lambda data: data[:-50]), COMPILE, "data.npz: must be"),
        (with_weights(first__weight=torch.full((20, 30), torch.nan)), COMPILE, "first.weight must be finite"),
        (with_weights(first__weight=torch.zeros(20, 31)), COMPILE, "first.weight must have the shape (20, 30), not"),
        (with_weights(first__weight=None), COMPILE, "lacks first.weight"),
        (with_weights(more=torch.zeros(1)), COMPILE, "has more, which the network does not have"),
        (with_data(inputs=np.zeros((4, 29))), COMPILE, "must have 30 values a sample, as the network takes, not 29"),
        (with_data(inputs=np.full((4, 30), np.nan)), COMPILE, "'inputs' must be finite in float32, not nan"),
        (with_data(inputs=np.zeros((4, 30))), [*COMPILE, "--density", "0.5"], "must have the key 'labels'"),
    ],
)
def test_compile_refuses(
    zs: Command, tmp_path: Path, prepare: Callable[[Path], None] | None, arguments: list[str], message: str
) -> None:
    if prepare is not None:
        prepare(tmp_path)
    code, out, err = zs(*arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.zs*"))


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (damage("net.zs", lambda data: data[:-1]), "net.zs: not a complete safetensors file"),
        (damage("net.zs", lambda data: data[:-1] + bytes([data[-1] ^ 1])), "the file is damaged"),
        (
            damage("net.zs", lambda data: data.replace(b'version\\": 3', b'version\\": 9')),
            "version must be 2 to 4, not 9",
        ),
        (with_data(inputs=np.zeros((4, 31))), "inputs must have 30 values a sample, as the network takes, not 31"),
        (with_data(inputs=np.full((4, 30), 1e6)), "to clip them, pass --saturate (saturate=True)"),
        (lambda folder: (folder / "net.zs").unlink(), "net.zs: cannot be read: No such file or directory"),
    ],
)
def test_simulate_refuses(zs: Command, tmp_path: Path, prepare: Callable[[Path], None], message: str) -> None:
    assert zs(*COMPILE)[0] == 0
    prepare(tmp_path)
    code, out, err = zs("simulate", "net.zs", "--data", "data.npz", "--json")
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "net.html").exists()


def test_saturation_is_counted(zs: Command, tmp_path: Path) -> None:
    assert zs(*COMPILE, "--pes", 4)[0] == 0
    inputs = np.zeros((4, 30), np.float32)
    inputs[1, :3] = 1e6
    with_data(inputs=inputs)(tmp_path)
    code, out, _ = zs("simulate", "net.zs", "--data", "data.npz", "--saturate", "--json")
    assert code == 0
    assert json.loads(out)["clipped_inputs"] == 3


def test_missing_tools(zs: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert zs(*COMPILE)[0] == 0
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "make").symlink_to(str(shutil.which("make")))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    code, out, err = zs("simulate", "net.zs", "--data", "data.npz")
    assert (code, out) == (1, "")
    assert "verilator needs g++, make, perl; not on PATH: g++, perl (on Debian: apt-get install g++ perl)" in err
    code, out, err = zs("simulate", "net.zs", "--data", "data.npz", "--simulator", "icarus")
    assert (code, out) == (1, "")
    assert "icarus needs iverilog, vvp; not on PATH: iverilog, vvp (on Debian: apt-get install iverilog)" in err


def test_help_names_every_command(zs: Command) -> None:
    code, out, _ = zs("--help")
    assert code == 0
    assert set(re.findall(r"\b(demo|train|compile|simulate)\b", out)) >= {"demo", "train", "compile", "simulate"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "error: broken failed in broken.py, line 1: ZeroDivisionError: division by zero\n"),
        (
            "import not_there",
            "error: broken failed in broken.py, line 1: ModuleNotFoundError: No module named 'not_there'\n",
        ),
        ("def net(:", "error: broken failed in broken.py, line 1: SyntaxError: invalid syntax\n"),
        ("def net(size): pass", "error: broken:net() failed: TypeError: net() missing 1 required positional argument"),
        ("def net(): raise SystemExit(0)", "error: broken:net() failed in broken.py, line 1: SystemExit: 0\n"),
    ],
)
def test_what_the_users_code_raises(zs: Command, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    code, out, err = zs("compile", "broken:net", *COMPILE[2:])
    assert (code, out) == (1, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_weights_that_round_to_zero_are_told(zs: Command, tmp_path: Path) -> None:
    import mynet

    state = mynet.Net().state_dict()
    state["second.bias"] += 1e4
    save_file(state, tmp_path / "weights.safetensors")
    code, out, err = zs(*COMPILE, "--json")
    assert code == 0
    assert json.loads(out)["weights"]["rounded_to_zero"] > 0
    assert err.startswith("warning: ")


def test_what_cannot_be_written_is_told_before_the_run(zs: Command, tmp_path: Path) -> None:
    assert zs(*COMPILE)[0] == 0
    (tmp_path / "file").write_text("")
    for option in ("--outputs", "--report"):
        code, out, err = zs("simulate", "net.zs", "--data", "data.npz", option, "file/out")
        assert (code, out) == (1, "")
        assert "file" in err
        assert not (tmp_path / "net.html").exists()
