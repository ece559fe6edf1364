"""What the benchmark compares: the same layer everywhere, times in turn, peers in processes of their own."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from zeroskip.model.progress import silent
from zeroskip.model.sparseconv.bench.groupings import measure_groupings
from zeroskip.model.sparseconv.bench.layer import Layer, operands
from zeroskip.model.sparseconv.bench.measure import deterministic, measure_growth, measure_scene, products
from zeroskip.model.sparseconv.bench.peers import Peer, installed
from zeroskip.model.sparseconv.bench.scenes import Scene, surface
from zeroskip.model.sparseconv.bench.timing import in_turn
from zeroskip.model.sparseconv.kernel import to_dense_weight


def dense(scene: Scene, feats: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The layer by torch's conv3d in float64."""
    x, y, z = scene.coords[:, 1:].long().unbind(dim=1)
    box = torch.zeros(1, feats.shape[1], *(int(axis.max()) + 1 for axis in (x, y, z)), dtype=torch.float64)
    box[0, :, x, y, z] = feats.double().T
    return functional.conv3d(box, to_dense_weight(weight.double(), (3, 3, 3)), padding=1)[0, :, x, y, z].T


def test_the_surface_has_one_voxel_a_place_and_the_density_of_scans() -> None:
    scene = surface(10_000)
    assert scene.coords.shape == (10_000, 4)
    assert torch.equal(torch.unique(scene.coords[:, :3], dim=0), scene.coords[:, :3])
    row = measure_scene(scene, (1, 1), repeats=1, seed=0, progress=silent)
    assert 7 < row["pairs"] / row["voxels"] < 10


def test_all_layers_of_a_scene_are_the_same_layer() -> None:
    scene = surface(400)
    feats, weight = operands(scene, (5, 6), 0)
    expected = dense(scene, feats, weight)
    for how in ("auto", "reference"):
        layer = Layer(scene, feats, weight, how)
        for sums in (layer.conv(), layer.end_to_end()):
            torch.testing.assert_close(sums.feats.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["dense", "spconv", "open3d"])
def test_peers_compute_the_same_layer(name: str) -> None:
    if name != "dense" and importlib.util.find_spec(name) is None:
        pytest.skip("optional: pip install zeroskip[peers]")
    scene = surface(400)
    assert name in installed(scene)
    feats, weight = operands(scene, (8, 16), 1)
    with Peer(name, scene, feats, weight) as peer:
        times = [peer.step(step)() for step in peer.steps]
        torch.testing.assert_close(peer.result().double(), dense(scene, feats, weight), rtol=1e-5, atol=1e-5)
    assert all(0 < time < 60 for time in times)


def test_a_peer_that_fails_says_why() -> None:
    scene = surface(16)
    feats, weight = operands(scene, (2, 2), 0)
    with (
        pytest.raises(RuntimeError, match=r"dense failed beside the benchmark: .*channels"),
        Peer("dense", scene, feats[:, :1], weight) as peer,
    ):
        peer.result()


def test_large_boxes_are_not_convolved_dense() -> None:
    far = Scene(name="far", coords=torch.tensor([[0, 0, 0, 0], [0, 300, 300, 300]], dtype=torch.int32))
    assert "dense" not in installed(far)


def test_times_are_taken_in_turn_and_the_median_counts() -> None:
    calls: list[str] = []
    times = {"a": iter([9.0, 1.0, 5.0, 3.0]), "b": iter([0.0, 4.0, 2.0, 8.0])}

    def run(name: str) -> float:
        calls.append(name)
        return next(times[name])

    assert in_turn({"a": lambda: run("a"), "b": lambda: run("b")}, 3) == {"a": 3.0, "b": 4.0}
    assert calls == ["a", "b"] * 4


def test_products_multiply_every_pair_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    monkeypatch.setattr(torch, "mm", lambda left, right, out: rows.append((left.shape, right.shape, out.shape)))
    products(9_000, torch.ones(3, 5))()
    assert rows == [((count, 3), (3, 5), (count, 5)) for count in (4096, 4096, 808)]


def test_a_scene_is_measured() -> None:
    row = measure_scene(surface(100), (4, 8), repeats=1, seed=0, progress=silent)
    assert row["equal"]
    assert {"torch", "dense"} <= set(row["peers"])
    assert set(row["ratios"]["torch"]) == {"map", "conv", "end_to_end", "train"}
    for step, ratio in row["ratios"]["torch"].items():
        assert ratio == pytest.approx(row["peers"]["torch"][f"{step}_ms"] / row[f"{step}_ms"])
    json.dumps(row)


def test_growth_and_groupings_name_their_sizes() -> None:
    assert [
        row["voxels"] for row in measure_growth((100, 400), (2, 2), device="cpu", repeats=1, seed=0, progress=silent)
    ] == [
        100,
        400,
    ]


def test_groupings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.model.sparseconv.bench.groupings.SIZES", (196,))
    rows = {row["execution"]: row for row in measure_groupings((2, 3), repeats=1, seed=0)}
    sizes = _sizes(surface(196))
    largest, pairs = max(sizes), sum(sizes)
    assert rows["padded"]["groups"] == 1
    assert rows["padded"]["padding"] == pytest.approx((len(sizes) * largest - pairs) / pairs)
    assert rows["separate"]["padding"] == 0
    assert rows["separate"]["groups"] == len(sizes)
    assert rows["fused"]["groups"] is None


def _sizes(scene: Scene) -> list[int]:
    """Pairs of each offset that is not the centre and has any, counted one by one."""
    voxels = {tuple(voxel) for voxel in scene.coords[:, 1:].tolist()}
    offsets = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)]
    counted = [sum(tuple(np.add(voxel, offset)) in voxels for voxel in voxels) for offset in offsets]
    return [count for count in counted if count]


def test_different_bits_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = surface(64)
    assert deterministic(scene, (2, 2), runs=4, seed=0)
    threads = torch.get_num_threads()
    noise = iter([0.0, 0.0, 1e-3, 0.0])
    original = Layer.end_to_end

    def disturbed(self: Layer) -> object:
        sums = original(self)
        return sums.with_feats(sums.feats + next(noise))

    monkeypatch.setattr(Layer, "end_to_end", disturbed)
    assert not deterministic(scene, (2, 2), runs=4, seed=0)
    assert torch.get_num_threads() == threads
