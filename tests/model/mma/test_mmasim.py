"""The golden model against MMA-Sim (Xie et al., arXiv 2511.10909), a model of the same GPUs that others wrote."""

from __future__ import annotations

import os
from typing import Any

import ninja
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.operands import KINDS, block_numbers

from zeroskip.model.mma.golden import dot

TYPES = {  # The float of torch, and an integer of its width that numpy has too.
    "fp16": (torch.float16, np.int16),
    "bf16": (torch.bfloat16, np.int16),
    "tf32": (torch.float32, np.int32),
    "e4m3": (torch.float8_e4m3fn, np.uint8),
    "e5m2": (torch.float8_e5m2, np.uint8),
    "fp32": (torch.float32, np.int32),
}
ARCHITECTURES = {"V100": "Volta", "A100": "Ampere", "Ada": "Ada Lovelace", "H100": "Hopper", "B200": "Blackwell"}
PTX = {"fp16": "f16", "bf16": "bf16", "tf32": "tf32", "e4m3": "e4m3", "e5m2": "e5m2", "fp32": "f32"}

MODES = [
    ("V100", "fp16", "fp32"),
    ("V100", "fp16", "fp16"),
    *((generation, "fp16", "fp16") for generation in ("A100", "Ada", "H100", "B200")),
    *((g, dtype, "fp32") for g in ("A100", "Ada", "H100", "B200") for dtype in ("fp16", "bf16", "tf32")),
    *((generation, dtype, "fp32") for generation in ("Ada", "H100") for dtype in ("e4m3", "e5m2")),
    *(("Ada", dtype, "fp16") for dtype in ("e4m3", "e5m2")),
]
"""Every float mode that both models have. fp8 to fp16 on H100 and all fp8 on B200 are not among them: MMA-Sim has
`wgmma` and `tcgen05.mma` there, which add otherwise than `mma.sync`."""


@pytest.fixture(scope="module")
def nv_ptx() -> Any:
    """MMA-Sim's NVIDIA part. Its build needs ninja on the path, which Python without its environment's path lacks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", ninja.BIN_DIR, prepend=os.pathsep)
        from mmasim import nv_ptx

        return nv_ptx


def instruction(nv_ptx: Any, generation: str, dtype: str, out: str) -> Any:
    """The instruction of that mode: `mma.sync`, and for fp8 on H100 `wgmma`, because there it has no other."""
    architecture, a, d = ARCHITECTURES[generation], PTX[dtype], PTX[out]
    if generation == "H100" and dtype in ("e4m3", "e5m2"):
        return nv_ptx.WGMMA(architecture, f"m64n8k32.{d}.{a}.{a}")
    shape = {"fp16": "m16n8k16", "bf16": "m16n8k16", "tf32": "m16n8k8"}.get(dtype, "m16n8k32")
    return nv_ptx.MMA(architecture, f"{'m8n8k4' if generation == 'V100' else shape}.{d}.{a}.{a}.{d}")


def simulated(operation: Any, a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], dtype: str, out: str) -> NDArray[Any]:
    """Raw bits of what MMA-Sim computes."""

    def tensor(bits: NDArray[Any], name: str) -> torch.Tensor:
        kind, integer = TYPES[name]
        return torch.from_numpy(bits.view(integer)).view(kind)

    result = operation.dpa(tensor(a, dtype), tensor(b, dtype), tensor(c, out))
    return result.view(torch.int16 if out == "fp16" else torch.int32).numpy().view(c.dtype)


def hard_blocks(rng: np.random.Generator, dtype: str, out: str, kind: str, length: int) -> tuple[NDArray[Any], ...]:
    """500 sums of a kind, whose exponents are chosen ten times."""
    parts = [block_numbers(rng, dtype, out, 50, length, kind) for _ in range(10)]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


@pytest.mark.parametrize("mode", MODES, ids="-".join)
def test_every_bit_is_that_of_mmasim(nv_ptx: Any, mode: tuple[str, str, str]) -> None:
    """9,000 sums a mode, of one instruction and of two: cancelling, subnormal, overflowing, NaN and infinities."""
    generation, dtype, out = mode
    operation = instruction(nv_ptx, *mode)
    rng = np.random.default_rng(sum(map(ord, "".join(mode))))
    for kind in KINDS:
        for length in (operation.k, 2 * operation.k):
            a, b, c = hard_blocks(rng, dtype, out, kind, length)
            found = dot(a, b, c, generation=generation, dtype=dtype, out=out)
            np.testing.assert_array_equal(found, simulated(operation, a, b, c, dtype, out), err_msg=f"{kind}, {length}")


@pytest.mark.parametrize("generation", ["A100", "Ada", "H100", "B200"])
def test_products_below_every_normal_number(nv_ptx: Any, generation: str) -> None:
    """bf16 products all below 2**-126 and a c of zero: earlier versions of MMA-Sim gave such a c an exponent."""
    operation = instruction(nv_ptx, generation, "bf16", "fp32")
    rng = np.random.default_rng(0)
    shape = (3_000, operation.k)
    # Fields of exponents whose sums mean 2**-126 at most, with the significands, and 2**-162 at least.
    field_a = rng.integers(40, 84, shape)
    field_b = rng.integers(92, 126, shape) - field_a
    a, b = ((rng.integers(0, 2, shape) << 15 | f << 7 | rng.integers(0, 128, shape)) for f in (field_a, field_b))
    a, b, c = a.astype(np.uint16), b.astype(np.uint16), np.zeros(len(a), np.uint32)
    found = dot(a, b, c, generation=generation, dtype="bf16", out="fp32")
    assert ((found & 0x7F800000) == 0).mean() > 0.9
    np.testing.assert_array_equal(found, simulated(operation, a, b, c, "bf16", "fp32"))
