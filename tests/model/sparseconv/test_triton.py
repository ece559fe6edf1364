"""The execution in Triton against sums in float64: on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from zeroskip.model.sparseconv import reference, triton_gemm
from zeroskip.model.sparseconv.execution import execution
from zeroskip.model.sparseconv.functional import find_map
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuner import chosen_execution

if importlib.util.find_spec("triton") is None:
    pytest.skip("optional: pip install triton", allow_module_level=True)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# The interpreter cuts numbers off where a GPU rounds them to bfloat16.
DTYPES = [dtype for dtype in triton_gemm.DTYPES if DEVICE == "cuda" or dtype is not torch.bfloat16]
# in channels, out channels, kernel size, stride
LAYERS = [(5, 7, 3, 1), (40, 18, 3, 2), (16, 16, 2, 2), (3, 70, 4, 1), (1, 1, 1, 2)]


@pytest.fixture(autouse=True, scope="module")
def _interpreter() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == "cpu":
            patch.setitem(os.environ, "TRITON_INTERPRET", "1")
        yield


def operands(
    layer: tuple[int, int, int, int], dtype: torch.dtype, points: int = 90
) -> tuple[Tensor, Tensor, KernelMap]:
    in_channels, out_channels, size, stride = layer
    make = torch.Generator().manual_seed(sum(layer))
    coords = torch.unique(torch.randint(0, 6, (points, 4), generator=make), dim=0).int()
    coords = torch.unique(coords // torch.tensor([3, 1, 1, 1]), dim=0).int().to(DEVICE)
    feats = torch.randint(-20, 21, (len(coords), in_channels), generator=make).to(DEVICE)
    weight = torch.randint(-20, 21, (size**3, in_channels, out_channels), generator=make).to(DEVICE)
    kmap = find_map(SparseTensor(feats.float(), coords), size, stride, submanifold=False)
    return feats.to(dtype), weight.to(dtype), kmap


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums(layer: tuple[int, int, int, int], dtype: torch.dtype) -> None:
    """Integers, so that every order of the sums gives the same number: exact, but for the rounding of the result."""
    feats, weight, kmap = operands(layer, dtype)
    expected = reference.convolve(feats.double(), weight.double(), kmap)
    assert len(kmap.inputs) > 0
    assert torch.equal(
        triton_gemm.convolve(feats, weight, kmap), expected.to(torch.int32 if dtype is torch.int8 else dtype)
    )


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype.is_floating_point])
def test_gradient_of_weights(layer: tuple[int, int, int, int], dtype: torch.dtype) -> None:
    feats, weight, kmap = operands(layer, dtype)
    gradient = weight.sum(dim=(0, 1)).double().clamp(-9, 9) - torch.arange(kmap.out_count, device=DEVICE)[:, None] % 7
    expected = reference.weight_gradient(feats.double(), gradient, kmap)
    assert torch.equal(triton_gemm.weight_gradient(feats, gradient.to(dtype), kmap), expected.to(dtype))


def test_an_element_of_many_pairs_is_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_gemm, "_CHUNK", 32)
    monkeypatch.setattr(triton_gemm, "_CHUNKS", 2)
    feats, _, kmap = operands((4, 4, 3, 1), torch.float32, points=300)
    assert max(kmap.sizes) > 64
    gradient = torch.arange(4.0 * kmap.out_count, device=DEVICE).reshape(-1, 4) % 11 - 5
    expected = reference.weight_gradient(feats.double(), gradient.double(), kmap)
    assert torch.equal(triton_gemm.weight_gradient(feats, gradient, kmap).double(), expected)


def test_without_outputs() -> None:
    feats, weight, kmap = operands((4, 6, 3, 1), torch.float32)
    empty = find_map(SparseTensor(feats[:0], kmap.in_coords[:0]), 3)
    assert triton_gemm.convolve(feats[:0], weight, empty).shape == (0, 6)
    assert not triton_gemm.weight_gradient(feats[:0], feats[:0, :2], empty).any()


def test_where_it_runs() -> None:
    feats, weight, kmap = operands((4, 6, 3, 1), torch.float32)
    assert triton_gemm.can_run(feats) == (DEVICE == "cuda")
    assert not triton_gemm.can_run(feats.double())
    with execution("triton"), pytest.raises(ValueError, match="triton needs Triton and features on a GPU, not float64"):
        chosen_execution(feats.double(), weight, kmap)
