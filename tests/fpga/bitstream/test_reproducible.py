"""The whole build of two PEs, and of a tile, for an ULX3S, by the command: minutes, or seconds where the
routed design is cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_inputs, random_network
from support.tile_networks import mlp, pruned

from zeroskip.model.eie import bundle, golden
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma import bundle as mma_bundle
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import mode_geometry

Command = Callable[..., tuple[int, str, str]]

CLOCK = ("--clock", 30, "--json")


def test_the_same_bits_from_two_folders(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One PE, in two folders. The second build has a cache of its own, an empty one: it is synthesised, placed and
    routed in every run of the tests, in about a minute."""
    network = random_network(np.random.default_rng(1), EieGeometry(pes=1), (16, 8), 0.3)
    digests = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        bundle.save(network, Path("net.zs"))
        command = ("--network", "net.zs", "--board", "ulx3s-12f", "--pes", 1, "--clock", 50, "--json")
        code, out, err = zs("fpga", "build", *command)
        assert code == 0, err
        built = json.loads(out)
        assert not (folder == "two" and built["cached"])
        digests.append(built["sha256"])
        assert hashlib.sha256(Path("net-ulx3s-12f.bit").read_bytes()).hexdigest() == built["sha256"]
        monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path / "cache"))
    assert digests[0] == digests[1]


def test_another_network_of_the_same_sizes_is_not_routed(
    zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two PEs at the default clock, about three minutes, or seconds from the cache: the same network gives one SHA-256,
    another one another, and nothing is routed for it."""
    digests = []
    for folder, seed in (("one", 1), ("two", 1), ("three", 2)):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        rng = np.random.default_rng(seed)
        network = random_network(rng, EieGeometry(pes=4), (64, 48, 10), 0.2)
        bundle.save(network, Path("net.zs"))
        code, out, err = zs("fpga", "build", "--network", "net.zs", "--board", "ulx3s-12f", "--pes", 2, "--json")
        assert code == 0, err
        built = json.loads(out)
        digests.append(built["sha256"])
        assert (built["pes"], built["inside"], built["met"]) == (2, True, True)
        assert sorted(path.name for path in Path().iterdir()) == ["net-ulx3s-12f.bit", "net-ulx3s-12f.zs", "net.zs"]
        inputs = random_inputs(rng, 4, 64, [1.0])
        laid = bundle.load(Path("net-ulx3s-12f.zs"))
        assert np.array_equal(golden.outputs(laid, inputs), golden.outputs(network, inputs))
        assert built["cached"] or not digests[1:]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_a_gowin(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is inside; another one of the same sizes comes from the cache. The frequencies are an estimate, and
    the command says so."""
    monkeypatch.chdir(tmp_path)
    digests = []
    there = {path.name for path in Path().iterdir()}
    for seed in (1, 1, 2):
        bundle.save(random_network(np.random.default_rng(seed), EieGeometry(pes=4), (64, 48, 10), 0.2), Path("net.zs"))
        code, out, err = zs("fpga", "build", "--network", "net.zs", "--board", "tangnano20k", "--pes", 1, "--json")
        assert code == 0, err
        assert "are an estimate: the tools do not count the delays of paths from block RAMs, into and out of" in err
        built = json.loads(out)
        digests.append(built["sha256"])
        assert (built["inside"], built["timing"], len(built["untimed"]), len(built["warnings"])) == (
            True,
            "estimate",
            3,
            1,
        )
        left = {path.name for path in Path().iterdir()} - there
        assert left == {"net-tangnano20k.fs", "net-tangnano20k.zs", "net.zs"}
        assert built["cached"] or not digests[1:]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_a_mapping_unit(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is inside; the bitstream is made again with the same bits."""
    monkeypatch.chdir(tmp_path)
    digests = []
    there = {path.name for path in Path().iterdir()}
    for _ in range(2):
        command = ("fpga", "build", "--core", "mapping", "--width", 1, "--board", "ulx3s-12f", "--clock", 15, "--json")
        code, out, err = zs(*command)
        assert code == 0, err
        built = json.loads(out)
        digests.append(built["sha256"])
        assert (built["core"], built["pes"], built["network"], built["inside"]) == ("mapping", None, None, False)
        assert {path.name for path in Path().iterdir()} - there == {"mapping-1-ulx3s-12f.bit"}
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_a_tile(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bitstream holds no network, and says so; another network for the same tile gives the same bits from the
    cache."""
    monkeypatch.chdir(tmp_path)
    words = {"a_words": 512, "b_words": 512, "d_words": 512}
    geometry = mode_geometry(generation="V100", dtype="fp16", out="fp32", m=1, n=1, **words)
    digests = []
    for seed in (1, 2):
        network = compile_network(pruned(mlp(seed), geometry.pattern), (30,), geometry)
        mma_bundle.save(network, Path("net.zs"))
        code, out, err = zs("fpga", "build", "--network", "net.zs", "--board", "ulx3s-12f", *CLOCK)
        assert code == 0, err
        built = json.loads(out)
        digests.append(built["sha256"])
        assert (built["core"], built["pes"], built["inside"], built["met"]) == ("mma", None, False, True)
        assert mma_bundle.load(Path("net-ulx3s-12f.zs")).geometry == geometry
        assert built["cached"] or not digests[1:]
    assert digests[0] == digests[1]
