"""2:4 sparsity on the N:M tile, with the operands that PyTorch makes for NVIDIA GPUs.

A weight matrix is pruned to 2:4 and compressed by PyTorch. The tile's RTL multiplies it, straight from PyTorch's values
and metadata, with the rounding of an A100. The result is compared with the golden model (every bit) and with torch.

Run it with: python examples/two_four_on_the_tile.py
"""

import numpy as np
import torch
from torch.sparse._semi_structured_conversions import sparse_semi_structured_from_dense_cutlass

from zeroskip.cosim.mma.play import run_gemm
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.mma.format import codes, nm_mask
from zeroskip.model.mma.gemm import Operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import gemm
from zeroskip.model.mma.layouts import from_torch
from zeroskip.model.network.pattern import Pattern

ROWS, COLUMNS, BATCH = 32, 64, 16


def main() -> None:
    torch.manual_seed(0)
    weights = torch.randn(ROWS, COLUMNS)
    inputs = torch.randn(COLUMNS, BATCH)

    # Keep the two largest magnitudes of every four neighbours in a row.
    kept = nm_mask(weights.abs().numpy(), Pattern.parse("2:4"))
    weights = weights.masked_fill(torch.from_numpy(~kept), 0).half()

    # Half of the values, and 4 bits of metadata per group, in CUTLASS's order. On a GPU,
    # torch.sparse.to_sparse_semi_structured(weights) contains the same two tensors (with its CUTLASS backend).
    values, metadata = sparse_semi_structured_from_dense_cutlass(weights)
    compressed = from_torch(values.view(torch.uint16).numpy(), metadata.numpy(), "fp16")

    # The tile: 4 x 4 dot-product units with 8 multipliers each, fp16 in, fp32 out.
    tile = TileGeometry(m=4, n=4, k=8, keep=2, group=4, dtype="fp16", out="fp32", generation="A100")
    a = Operand(values=compressed.values, codes=codes(compressed), columns=COLUMNS, pattern=tile.pattern)
    b = inputs.half().view(torch.uint16).numpy()
    c = np.zeros((ROWS, BATCH), np.uint32)  # raw bits of fp32 zeros
    run = run_gemm(a, b, c, tile)

    assert np.array_equal(run.d, gemm(a, b, c, tile)), "the RTL differs from the golden model"
    sizes = (ROWS, BATCH, COLUMNS)
    assert run.cycles == gemm_cycles(tile, *sizes, dense=False), "the cycles differ from the cycle model"
    result = torch.from_numpy(run.d.view(np.float32))
    difference = (result - weights.float() @ inputs.half().float()).abs().max().item()
    dense = gemm_cycles(tile, *sizes, dense=True)
    print(f"{run.cycles} cycles, {dense} for the dense product; every bit equals the golden model")
    print(f"largest difference from torch in float32: {difference:.1e}")


if __name__ == "__main__":
    main()
