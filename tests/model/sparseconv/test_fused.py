"""The compiled kernels: the same maps as plain torch's, sums as exact, and the same bits whatever the threads."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.voxels import scene
from torch import Tensor

from zeroskip.model.sparseconv import execution as executions
from zeroskip.model.sparseconv.execution import execution
from zeroskip.model.sparseconv.functional import conv, find_map
from zeroskip.model.sparseconv.native import library
from zeroskip.model.sparseconv.tensor import SparseTensor


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def surface(edge: int, ordered: bool = True) -> Tensor:
    """Voxels of a wavy surface in two batches: (2 * edge**2, 4)."""
    x, y = torch.meshgrid(torch.arange(edge), torch.arange(edge), indexing="ij")
    z = (6 * torch.sin(x / 5.0) * torch.cos(y / 7.0)).round().long()
    batches = [torch.stack([torch.full_like(x, batch), x, y, z], -1).reshape(-1, 4) for batch in (0, 2)]
    coords = torch.cat(batches).to(torch.int32)
    return coords if ordered else coords[torch.randperm(len(coords), generator=torch.Generator().manual_seed(0))]


LAYERS = [
    {"kernel_size": 3},
    {"kernel_size": 5, "dilation": 2},
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 4, "stride": 2, "convention": "minkowski"},
    {"kernel_size": 3, "stride": 2, "transposed": True, "generative": True},
]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("layer", LAYERS)
def test_maps_equal_those_of_plain_torch(layer: dict[str, int], ordered: bool, threads: int) -> None:
    coords = surface(70, ordered)
    feats = torch.zeros(len(coords), 1)
    found = find_map(SparseTensor(feats, coords, 2), **layer)
    with execution("reference"):
        plain = find_map(SparseTensor(feats, coords.clone(), 2), **layer)
    for ours, theirs in ((found, plain), (found.transposed, plain.transposed)):
        assert torch.equal(ours.out_coords, theirs.out_coords)
        assert ours.starts == theirs.starts
        assert torch.equal(ours.inputs, theirs.inputs)
        assert torch.equal(ours.outputs, theirs.outputs)


@pytest.mark.parametrize("layer", [{"kernel_size": 3}, {"kernel_size": 2, "stride": 2, "padding": 1}])
def test_maps_of_many_voxels(layer: dict[str, int]) -> None:
    """From 200,000 voxels on, several threads sort and pack."""
    coords = surface(330, ordered=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    found = find_map(SparseTensor(torch.zeros(len(coords), 1), coords), **layer)
    torch.set_num_threads(before)
    with execution("reference"):
        plain = find_map(SparseTensor(torch.zeros(len(coords), 1), coords.clone()), **layer)
    assert torch.equal(found.out_coords, plain.out_coords)
    assert torch.equal(found.inputs, plain.inputs)
    assert torch.equal(found.outputs, plain.outputs)


@pytest.mark.parametrize("ordered", [True, False])
def test_maps_are_by_element_then_by_output(ordered: bool) -> None:
    found = find_map(SparseTensor(torch.zeros(2 * 30**2, 1), surface(30, ordered)), 3)
    for turned in (found, found.transposed):
        for element in range(27):
            _, outputs = turned.pairs(element)
            assert bool((outputs[1:] > outputs[:-1]).all())


@pytest.mark.parametrize("channels", [(1, 1), (3, 17), (32, 64), (130, 70), (16, 129)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_sums_and_gradients(dtype: torch.dtype, channels: tuple[int, int], threads: int) -> None:
    """Against plain torch in float64 on the same operands: within a rounding of the result's type, and of float32."""
    coords = surface(16, ordered=False)
    generator = torch.Generator().manual_seed(1)
    feats = torch.randn(len(coords), channels[0], generator=generator).to(dtype)
    weight = torch.randn(27, *channels, generator=generator).to(dtype)
    gradient = torch.randn(len(coords), channels[1], generator=generator).to(dtype)

    def step(kind: torch.dtype) -> tuple[Tensor, ...]:
        operands = (feats.to(kind).requires_grad_(), weight.to(kind).requires_grad_())
        result = conv(SparseTensor(operands[0], coords), operands[1], 3).feats
        return result.detach(), *torch.autograd.grad(result, operands, gradient.to(kind))

    with execution("fused"):
        found = step(dtype)
    with execution("reference"):
        wanted = step(torch.float64)
    for ours, exact in zip(found, wanted, strict=True):
        assert ours.dtype is dtype
        scale = float(exact.abs().max())
        rounding = max(torch.finfo(dtype).eps, 1e-6) if dtype is not torch.float64 else 1e-14
        torch.testing.assert_close(ours.double(), exact, rtol=rounding, atol=2 * rounding * scale)


@pytest.mark.parametrize("depth", [5, 300])
def test_int8_is_exact(depth: int, threads: int) -> None:
    """The largest products: at 300 channels their sum is beyond what float32 counts exactly."""
    coords = surface(20)
    feats = torch.full((len(coords), depth), -128, dtype=torch.int8)
    feats[::3] = torch.randint(-128, 128, (depth,), dtype=torch.int8, generator=torch.Generator().manual_seed(2))
    weight = torch.full((27, depth, 33), -128, dtype=torch.int8)
    weight[:, :, 0] = 127
    with execution("fused"):
        result = conv(SparseTensor(feats, coords), weight, 3).feats
    with execution("reference"):
        wanted = conv(SparseTensor(feats.double(), coords), weight.double(), 3).feats
    assert result.dtype is torch.int32
    assert torch.equal(result.double(), wanted)


def test_the_same_bits_with_any_threads() -> None:
    coords = surface(70, ordered=False)
    generator = torch.Generator().manual_seed(3)
    operands = (
        torch.randn(len(coords), 24, generator=generator).requires_grad_(),
        torch.randn(27, 24, 40, generator=generator).requires_grad_(),
    )
    before = torch.get_num_threads()
    runs = []
    for run in range(20):
        torch.set_num_threads(1 + run % 2)
        result = conv(SparseTensor(operands[0], coords.clone()), operands[1], 3).feats
        runs.append((result.detach(), *torch.autograd.grad(result.square().sum(), operands)))
    torch.set_num_threads(before)
    for run in runs[1:]:
        for ours, first in zip(run, runs[0], strict=True):
            assert torch.equal(ours, first)


def test_without_a_compiler_plain_torch_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    coords = scene(torch.Generator().manual_seed(4), [0], [5, 5], 0.5)

    def layer() -> Tensor:
        return conv(SparseTensor(torch.ones(len(coords), 1), coords.clone()), torch.ones(9, 1, 1), 3).feats

    expected = layer()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    library.compiled.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match=r"several times slower.*no C\+\+ compiler"):
            assert torch.equal(layer(), expected)
        with pytest.raises(ValueError, match=r"needs a C\+\+ compiler"), execution("fused"):
            layer()
    finally:
        library.compiled.cache_clear()


def test_kernels_are_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path))
    library.compiled.cache_clear()
    try:
        assert library.compiled() is not None
        (built,) = (tmp_path / "sparseconv").glob("*.so")
        written = built.stat().st_mtime_ns
        library.compiled.cache_clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert library.compiled() is not None
        assert built.stat().st_mtime_ns == written
    finally:
        library.compiled.cache_clear()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="flags of x86 compilers")
@pytest.mark.parametrize("target", [("-fopenmp",), ("-fopenmp", "-mavx2", "-mfma", "-mf16c"), ()])
def test_kernels_of_other_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: tuple[str, ...]) -> None:
    """Narrower vectors, no instruction for bytes, no threads: small integers, whose sums are exact."""
    if "-mavx2" in target and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX2")
    monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path))
    monkeypatch.setattr(library, "_TARGETS", (target,))
    generator = torch.Generator().manual_seed(5)
    coords = surface(12, ordered=False)
    feats = torch.randint(-100, 100, (len(coords), 37), generator=generator)
    weight = torch.randint(-3, 3, (27, 37, 45), generator=generator)

    def step(dtype: torch.dtype) -> tuple[Tensor, ...]:
        result = conv(SparseTensor(feats.to(dtype), coords.clone()), weight.to(dtype), 3).feats
        if dtype is torch.int8:
            return (result.double(),)
        operands = (feats.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_())
        layer = conv(SparseTensor(operands[0], coords.clone()), operands[1], 3, stride=2, padding=1).feats
        gradients = torch.autograd.grad(layer, operands, torch.ones_like(layer))
        return tuple(value.detach().double() for value in (result, layer, *gradients))

    with execution("reference"):
        wanted = step(torch.float64)
    library.compiled.cache_clear()
    try:
        for dtype in (torch.float32, torch.float64, torch.int8):
            with execution("fused"):
                found = step(dtype)
            for ours, exact in zip(found, wanted, strict=False):
                assert torch.equal(ours, exact)
        for dtype in (torch.float16, torch.bfloat16):
            with execution("fused"):
                found = step(dtype)
            for ours, exact in zip(found, wanted, strict=True):
                assert torch.equal(ours, exact.to(dtype).double())
    finally:
        library.compiled.cache_clear()


def test_unknown_executions_are_refused() -> None:
    with pytest.raises(ValueError, match="must be auto or one of reference, fused"), execution("fast"):
        pass
    assert executions.chosen.get() == "auto"
