"""The tile's benchmark: what it promises of long products, and that it would tell of what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.cosim.mma import bench as mma_bench
from zeroskip.cosim.mma import play
from zeroskip.cosim.mma.bench import networks, products
from zeroskip.model.mma.geometry import TileGeometry


def test_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long ones run twice as fast sparse, with every multiplier busy; of networks each layer runs as is faster."""
    monkeypatch.setattr(mma_bench, "SIZES", [(8, 8, 16), (64, 64, 512)])
    layers = [(20, 36, (1, 5, 5)), (10, 1, (100,))]
    monkeypatch.setattr(mma_bench, "NETWORKS", {"net": layers})
    found = products(TileGeometry(), 0, lambda _: None)
    assert all(product.equal for product in found)
    short, long = found[:2]
    assert short.speedup < long.speedup
    assert 1.98 <= long.speedup <= 2
    used = (long.utilisation, long.dense_utilisation)
    assert 0.99 <= min(used) <= max(used) <= 1
    # One input channel: sparse, three of four columns are padding.
    conv, linear = found[2:]
    assert conv.speedup < 1 < linear.speedup
    (total,) = networks(found)
    assert total["dense_cycles"] == conv.dense_cycles + linear.dense_cycles
    assert total["sparse_cycles"] == conv.dense_cycles + linear.sparse_cycles


def test_a_wrong_bit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mma_bench, "SIZES", [(8, 8, 16)])
    monkeypatch.setattr(mma_bench, "NETWORKS", {})
    right = play.gemm

    def wrong(*arguments: Any) -> Any:
        d = right(*arguments)
        d[-1, -1] ^= np.uint32(1)
        return d

    monkeypatch.setattr(play, "gemm", wrong)
    assert not products(TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16), 0, lambda _: None)[0].equal
