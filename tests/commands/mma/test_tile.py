"""The commands of the N:M tile as a user runs them, and one clear error for what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.operands import floats
from support.traces import cycles_of, events_of, of_track
from support.viewers import RECORDED, require_recorded, run_of

from zeroskip.model.mma import bundle as mma_bundle
from zeroskip.model.mma.format import compress, nm_mask
from zeroskip.model.mma.golden import dot
from zeroskip.model.mma.layouts import from_torch, to_linear, to_torch
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.nm import nm_mask as torch_mask

Command = Callable[..., tuple[int, str, str]]

MODE = {"dtype": "fp16", "out": "fp32", "generation": "V100"}


def save_product(path: Path, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=shape).astype(np.float16).view(np.uint16) for shape in ((9, 20), (20, 6)))
    c = rng.normal(size=(9, 6)).astype(np.float32).view(np.uint32)
    arrays = {"a": a, "b": b, "c": c, **MODE, **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return arrays


def test_dense_product(zs: Command, tmp_path: Path) -> None:
    arrays = save_product(tmp_path / "p.npz")
    code, out, err = zs("mma", "p.npz", "--m", 2, "--n", 2, "--output", "d.npz", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["mismatches"], result["cycle_model_equal"], result["pattern"]) == (0, True, "dense")
    # 5 x 3 tiles of 5 steps, and the 12 cycles around them.
    assert result["cycles"] == 15 * 5 + 12
    saved = np.load(tmp_path / "d.npz")
    expected = dot(arrays["a"][:, None], arrays["b"].T[None], arrays["c"], **MODE)
    for name in ("d", "golden"):
        np.testing.assert_array_equal(saved[name], expected)
    assert saved["cycles"] == result["cycles"]
    assert not saved["illegal"]


def test_through_the_ports(zs: Command, tmp_path: Path) -> None:
    """The same file as with operands that go directly into the memories."""
    save_product(tmp_path / "p.npz")
    saved = []
    for load in ("direct", "ports"):
        code, out, err = zs("mma", "p.npz", "--m", 2, "--n", 2, "--load", load, "--output", f"{load}.npz", "--json")
        assert (code, json.loads(out)["mismatches"]) == (0, 0), err
        saved.append(dict(np.load(tmp_path / f"{load}.npz")))
    np.testing.assert_equal(*saved)


def test_records(zs: Command, tmp_path: Path) -> None:
    """A waveform with its sessions, a trace, and a page, all of the cycles that were counted."""
    save_product(tmp_path / "p.npz")
    code, out, err = zs("mma", "p.npz", "--m", 2, "--n", 2, *RECORDED, "--json")
    assert code == 0, err
    result = json.loads(out)
    require_recorded(result, tmp_path)
    run, shown = run_of(tmp_path / "run.html")
    # The page shows the cycle of `done`, too.
    assert (run["title"], run["of"], len(shown["job"])) == ("p.npz", "1 product", result["cycles"] + 1)
    assert cycles_of(of_track(events_of(tmp_path / "run.json"), "Tile", "jobs"), "job") == result["cycles"]


def test_records_that_are_none(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before the simulation: names of other files, and runs that are too long for the page."""
    save_product(tmp_path / "p.npz")
    monkeypatch.setattr("zeroskip.cosim.mma.viewer.MOST_BYTES", 0)
    for arguments, message in (
        (("--trace", "run.txt"), "trace must end in .json, not '.txt'"),
        (
            ("--output", "d.npz", "--waves", "d.vcd"),
            "waves must be another file than d.vcd, which would show a failure",
        ),
        (("--viewer", "run.html"), "at most 0 cycles with this geometry, and the product takes 88: take smaller"),
    ):
        code, _, err = zs("mma", "p.npz", "--m", 2, "--n", 2, *arguments)
        assert code == 1
        assert message in " ".join(err.split())
    assert not [*tmp_path.glob("run.*"), *tmp_path.glob("d.*")]


def test_torchs_operand(zs: Command, tmp_path: Path) -> None:
    """What torch compresses for its CUTLASS kernels goes through the tile, and does as its dense form does."""
    rng = np.random.default_rng(2)
    dense = rng.normal(size=(32, 64)).astype(np.float16)
    dense[~nm_mask(np.abs(dense.astype(float)), Pattern())] = 0
    values, meta = torch.sparse._semi_structured_conversions.sparse_semi_structured_from_dense_cutlass(
        torch.from_numpy(dense)
    )
    compressed = from_torch(values.view(torch.uint16).numpy(), meta.numpy(), "fp16")
    from zeroskip.model.mma.format import codes

    arrays = {"values": compressed.values, "meta": to_linear(codes(compressed), Pattern(), np.uint16)}
    b = rng.normal(size=(64, 5)).astype(np.float16).view(np.uint16)
    c = np.zeros((32, 5), np.uint32)
    save_product(tmp_path / "p.npz", a=None, b=b, c=c, **arrays)
    code, out, err = zs("mma", "p.npz", "--m", 2, "--n", 2, "--json")
    assert code == 0, err
    d = np.load(json.loads(out)["output"])["d"].view(np.float32)
    exact = dense.astype(np.float64) @ b.view(np.float16).astype(np.float64)
    assert np.abs(d - exact).max() < 1e-4
    # And the same operand made here.
    made, metadata = to_torch(compress(dense.view(np.uint16), Pattern(), dtype="fp16"), "fp16")
    np.testing.assert_array_equal(made, values.view(torch.uint16).numpy())
    np.testing.assert_array_equal(metadata, meta.numpy())


def test_a_batch_of_dot_products(zs: Command, tmp_path: Path) -> None:
    """Independent ones, as data sets of captured results have them."""
    rng = np.random.default_rng(8)
    a, b = (floats(rng, "fp16", (50, 24), -6, 6) for _ in range(2))
    c = floats(rng, "fp32", (50,), -6, 6)
    np.savez(tmp_path / "dots.npz", a=a[:, None], b=b[:, :, None], c=c[:, None, None], **MODE)
    code, out, err = zs("mma", "dots.npz", "--m", 2, "--n", 2, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["products"], result["m"], result["n"], result["k"]) == (50, 1, 1, 24)
    assert (result["mismatches"], result["cycle_model_equal"]) == (0, True)
    d = np.load(tmp_path / "dots.d.npz")["d"]
    np.testing.assert_array_equal(d[:, 0, 0], dot(a, b, c, **MODE))
    code, out, _ = zs("mma", "dots.npz", "--m", 2, "--n", 2)
    assert re.search(r"independent products\s*│\s*50", out)


def test_legal_metadata(zs: Command, tmp_path: Path) -> None:
    values = np.full((9, 10), 0x3C00, np.uint16)
    meta = np.full((9, 5), 0b0100, np.uint8)
    packed = to_linear(meta, Pattern(), np.uint8)
    save_product(tmp_path / "p.npz", a=None, values=values, meta=packed)
    assert zs("mma", "p.npz", "--m", 2, "--n", 2)[0] == 0


def test_illegal_metadata(zs: Command, tmp_path: Path) -> None:
    values = np.full((9, 10), 0x3C00, np.uint16)
    meta = np.full((9, 5), 0b0100, np.uint8)
    meta[4, 2] = 0b0001
    save_product(tmp_path / "p.npz", a=None, values=values, meta=to_linear(meta, Pattern(), np.uint8))
    code, _, err = zs("mma", "p.npz", "--m", 2, "--n", 2)
    assert code == 1
    assert "codes whose indices increase (strict), not 0b0001 in row 4, group 2" in re.sub(r"\s+", " ", err)
    code, out, err = zs("mma", "p.npz", "--m", 2, "--n", 2, "--allow-illegal", "--json")
    assert code == 0, err
    assert json.loads(out)["illegal"] is True
    assert json.loads(out)["mismatches"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mma", "missing.npz"), "missing.npz does not exist"),
        (("mma", "p.npz", "--output", "p.npz"), "p.npz cannot be written: it is also an input"),
        (("mma", "p.npz", "--m", 0), "m must be from 1 to 64, not 0"),
        (("mma", "wrong.npz"), "wrong.npz: generation must be one of V100, A100, Ada, H100, B200, H100-mma, "),
        (("bench", "mma", "--parts", "gemms,speed"), "parts must be some of gemms, luts, permutation, formats"),
        (("demo", "--core", "mma", "--pes", 4), "--pes is an option of the EIE array, which --core mma does not use"),
    ],
)
def test_errors(zs: Command, tmp_path: Path, arguments: tuple[Any, ...], message: str) -> None:
    save_product(tmp_path / "p.npz")
    save_product(tmp_path / "wrong.npz", generation="T4")
    code, out, err = zs(*arguments)
    assert (code, out) == (1, "")
    assert message in re.sub(r"\s+", " ", err)
    assert not (tmp_path / "p.d.npz").exists()


COMPILE = ("compile", "mynet:Net", "--core", "mma", "--data", "data.npz", "--output", "net.zs", "--m", 2, "--n", 2)


def test_network_from_file_to_rtl(zs: Command, tmp_path: Path) -> None:
    """Weights that obey 2:4 already run sparse as they are."""
    weights = load_file(tmp_path / "weights.safetensors")
    for name in ("first.weight", "second.weight"):
        weights[name][~torch_mask(weights[name], Pattern())] = 0
    save_file(weights, tmp_path / "pruned.safetensors")
    code, out, err = zs(*COMPILE, "--weights", "pruned.safetensors", "--json")
    assert code == 0, err
    compiled = json.loads(out)
    assert [layer["sparse"] for layer in compiled["layers"]] == [True, True]
    # 30 inputs in groups of 4.
    assert [layer["pad"] for layer in compiled["layers"]] == [2, 0]

    code, out, err = zs("simulate", "net.zs", "--data", "data.npz", "--outputs", "out.npz", "--limit", 50, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["images"], result["mismatches"], result["cycle_model_equal"]) == (50, 0, True)
    saved = np.load(tmp_path / "out.npz")
    assert saved["outputs"].shape == (50, 4)
    assert saved["cycles"].sum() == pytest.approx(result["cycles_per_image"]["mean"] * 50)

    import mynet  # type: ignore[import-not-found]

    network = mynet.Net().eval()
    network.load_state_dict(weights)
    with torch.no_grad():
        expected = network(torch.from_numpy(np.load("data.npz")["inputs"][:50])).numpy()
    assert np.abs(saved["outputs"] - expected).max() < 0.02


def test_prune_learns_and_resumes(zs: Command, tmp_path: Path) -> None:
    """Accurate and sparse, in the format that was asked for; asked again, the same file from what was kept."""
    arguments = (
        *COMPILE,
        "--weights",
        "weights.safetensors",
        "--prune",
        "--epochs",
        8,
        "--seed",
        3,
        "--dtype",
        "bf16",
        "--json",
    )
    code, out, err = zs(*arguments)
    assert code == 0, err
    result = json.loads(out)
    assert result["accuracy"]["sparse"] > 0.9
    assert result["accuracy"]["golden"] > 0.9
    assert all(layer["sparse"] for layer in result["layers"])
    assert mma_bundle.load(tmp_path / "net.zs").geometry.dtype == "bf16"
    first = (tmp_path / "net.zs").read_bytes()
    zs(*arguments)
    assert (tmp_path / "net.zs").read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pes", 4), "--pes is an option of the EIE array, which --core mma does not use"),
        (("--epochs", 2), "epochs, method and permute need prune: without it nothing is trained"),
        (("--pattern", "2-4"), "a pattern is written N:M, N:M pairs or dense (2:4, 4:8 pairs), not '2-4'"),
        (("--pattern", "dense"), "pattern must be an N:M pattern that prunes, not 'dense'"),
        (("--pattern", "8:16", "--generation", "V100"), "a pattern that keeps 8 does not fit the 4 products"),
        (("--pattern", "3:4"), "keep must be at least 1 and divide group (4), not 3"),
        (("--dtype", "bf16", "--generation", "V100"), "dtype must be fp16 on V100, not bf16"),
        (("--prune", "--method", "sr-ste", "--permute"), "permute must be False with 'sr-ste'"),
    ],
)
def test_compile_errors(zs: Command, tmp_path: Path, arguments: tuple[Any, ...], message: str) -> None:
    code, out, err = zs(*COMPILE, *arguments)
    assert (code, out) == (1, "")
    assert message in re.sub(r"\s+", " ", err)
    assert not (tmp_path / "net.zs").exists()


def test_the_other_cores_options(zs: Command, tmp_path: Path) -> None:
    code, _, err = zs("compile", "mynet:Net", "--data", "data.npz", "--output", "net.zs", "--pattern", "2:4")
    assert code == 1
    assert "--pattern is an option of the N:M tile, which --core eie does not use" in re.sub(r"\s+", " ", err)
    assert zs(*COMPILE)[0] == 0
    code, _, err = zs("simulate", "net.zs", "--data", "data.npz", "--saturate")
    assert code == 1
    assert "--saturate is an option of the EIE array" in re.sub(r"\s+", " ", err)


def test_demo(zs: Command, tmp_path: Path) -> None:
    code, out, err = zs("demo", "--core", "mma", "--limit", 40, "--output", tmp_path / "run", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["images"], result["mismatches"], result["cycle_model_equal"]) == (40, 0, True)
    assert result["sparse_layers"] == [True, True, True]
    assert result["weights"]["ratio"] == 2
    assert result["accuracy"]["golden"] >= result["accuracy"]["dense"] - 0.01


@pytest.mark.slow
def test_bench_of_luts(zs: Command) -> None:
    code, out, err = zs("bench", "mma", "--parts", "luts", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["lut_overhead"] == result["luts"][0]["overhead"]
    assert all(row["same_multipliers"] for row in result["luts"])
    floats = [row for row in result["luts"] if not row["format"].startswith("int")]
    assert {row["format"] for row in floats} == {"fp16", "bf16", "tf32", "e4m3", "e5m2"}
    assert all(0 < row["overhead"] <= 0.10 for row in floats)


def test_bench_of_permutations(zs: Command) -> None:
    code, out, err = zs("bench", "mma", "--parts", "permutation", "--json")
    assert code == 0, err
    found = json.loads(out)["permutation"]
    assert found["without"] < found["with"] < found["total"]
    assert found["efficacy"] >= found["published"]["efficacy"]
