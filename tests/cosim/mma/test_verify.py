"""Networks whole on the RTL of the tile, and every mode of every generation on a single unit of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.tile_networks import averaging, conv, mlp, pruned

from zeroskip.cosim.mma.blocks import random_blocks
from zeroskip.cosim.mma.formats import check_format, modes
from zeroskip.cosim.simulator import LoadName
from zeroskip.cosim.verify import verify
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.model.mma.run_network import run
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.progress import Step

# Memories so small that every layer takes several jobs.
TINY = TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16)


@pytest.mark.parametrize("load", ["direct", "ports"])
@pytest.mark.parametrize(("make", "shape"), [(mlp, (30,)), (conv, (1, 12, 12)), (averaging, (1, 8, 8))])
def test_network(make: Any, shape: tuple[int, ...], load: LoadName) -> None:
    network = compile_network(pruned(make(7), Pattern()), shape, TINY)
    inputs = np.random.default_rng(7).normal(size=(9, network.inputs)).astype(np.float32)
    reports: list[Step] = []
    verification = verify(network, inputs, load=load, seed=7, progress=reports.append)
    assert verification.equal
    np.testing.assert_array_equal(verification.outputs, run(network, inputs).outputs)
    assert verification.values == sum(
        9 * layer.outputs * starts for layer, starts in zip(network.layers, network.starts, strict=True)
    )
    assert (reports[-1].done, reports[-1].total) == (9, 9)
    assert 0 < verification.run.utilisation <= 1


def test_mismatches_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A golden model that is wrong in a bit does not go unseen."""
    from zeroskip.cosim.mma import play
    from zeroskip.model.mma.golden import gemm

    def wrong(*arguments: Any) -> Any:
        d = gemm(*arguments)
        d[0, 0] ^= 1
        return d

    monkeypatch.setattr(play, "gemm", wrong)
    network = compile_network(pruned(mlp(7), Pattern()), (30,), TINY)
    verification = verify(network, np.ones((3, 30), np.float32))
    assert verification.mismatches == 2
    assert not verification.equal


def test_modes_are_those_that_are_known() -> None:
    found = {(mode.generation, mode.dtype, mode.out) for mode in modes()}
    assert len(found) == 50
    assert ("V100", "bf16", "fp32") not in found
    assert ("H100", "int4", "int32") not in found
    assert {mode[1] for mode in found if mode[0] in ("H100-mma", "H100-wgmma")} == {"e4m3", "e5m2"}
    assert {("V100", "fp16", "fp16"), ("H100", "e5m2", "fp32"), ("Ada", "int4", "int32_sat")} <= found


QUICK = {
    ("A100", "fp16", "fp32"),
    ("A100", "int8", "int32"),
    ("V100", "fp16", "fp16"),
    ("H100-mma", "e4m3", "fp32"),
    ("H100-wgmma", "e4m3", "fp16"),
}
"""The two instructions of Hopper, which test_play.py does not run, and some of the modes that it does. The others build
a simulator each, and add up in the same ways: minutes together."""


@pytest.mark.parametrize(
    "geometry",
    [
        mode if (mode.generation, mode.dtype, mode.out) in QUICK else pytest.param(mode, marks=pytest.mark.slow)
        for mode in modes()
    ],
    ids=lambda mode: f"{mode.generation}-{mode.dtype}-{mode.out}",
)
def test_mode(geometry: TileGeometry) -> None:
    result = check_format(geometry, 7_000, seed=3)
    assert result.blocks >= 7_000
    assert result.mismatches == 0


@pytest.mark.parametrize("geometry", modes(), ids=lambda mode: f"{mode.generation}-{mode.dtype}-{mode.out}")
def test_blocks_hold_the_hard_cases(geometry: TileGeometry) -> None:
    a, b, c = random_blocks(geometry, 2_000, np.random.default_rng(0))
    assert (a.shape, b.shape, c.shape) == ((2_000, geometry.k), (2_000, geometry.k), (2_000,))
    if not isinstance(geometry.operand, FloatFormat):
        return
    from zeroskip.model.mma.golden import dot
    from zeroskip.model.mma.kernels import decode

    for bits in (a, b):
        significand, exponent = decode(bits, geometry.operand)
        finite = exponent < 1000
        assert (~finite).any()
        assert ((significand == 0) & finite).any()
        least = exponent == 1 - geometry.operand.bias
        assert (least & (significand != 0) & (np.abs(significand) < 1 << geometry.operand.mantissa_bits)).any()
    results = dot(a, b, c, generation=geometry.generation, dtype=geometry.dtype, out=geometry.out)
    half = geometry.out == "fp16"
    top, mantissa = (0x7C00, 0x3FF) if half else (0x7F800000, 0x7FFFFF)
    kinds = {
        "NaN": (results & top == top) & (results & mantissa != 0),
        "infinite": (results & (top | mantissa)) == top,
        "zero": results & (top | mantissa) == 0,
        "subnormal": (results & top == 0) & (results & mantissa != 0),
    }
    assert all(found.any() for found in kinds.values()), {name: int(found.sum()) for name, found in kinds.items()}
