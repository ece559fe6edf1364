"""Which layers have a ReLU, and which are sparse, is read from the file, layer by layer."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
from support.tile_networks import mlp, pruned

from zeroskip.model.mma import bundle
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.run_network import run
from zeroskip.model.network.pattern import Pattern


def test_flags_of_each_layer(tmp_path: Path) -> None:
    network = compile_network(pruned(mlp(1), Pattern()), (30,), TileGeometry())
    inputs = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    seen = set()
    for flags in itertools.product((False, True), repeat=len(network.layers)):
        layers = tuple(dataclasses.replace(layer, relu=relu) for layer, relu in zip(network.layers, flags, strict=True))
        changed = dataclasses.replace(network, layers=layers)
        bundle.save(changed, tmp_path / "network.zs")
        read = bundle.load(tmp_path / "network.zs")
        assert [layer.relu for layer in read.layers] == list(flags)
        assert [layer.sparse for layer in read.layers] == network.sparse_layers
        outputs = run(read, inputs).outputs
        assert np.array_equal(outputs, run(changed, inputs).outputs)
        seen.add(outputs.tobytes())
    assert len(seen) == 2 ** len(network.layers), "every flag makes a difference"
