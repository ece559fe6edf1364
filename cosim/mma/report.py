"""The N:M tile's part of the report: layers, multipliers, transfers, storage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mma.driver import MmaRun
from zeroskip.cosim.report.blocks import bar, bars, in_bytes, percent, section, table, tile
from zeroskip.cosim.report.page import CoreSections
from zeroskip.cosim.verify import Verification
from zeroskip.model.mma.bundle import MmaLayer, MmaNetwork
from zeroskip.model.mma.storage import stored_bits


def sections(verification: Verification) -> CoreSections:
    """The report's sections for a run on the tile."""
    network, run = verification.network, verification.run
    geometry = network.geometry
    cycles = verification.cycles_by_layer
    transfers = run.transfers / verification.images
    sparse = sum(layer.sparse for layer in network.layers)
    return CoreSections(
        introduction=f"A network on a sparse tensor-core tile of {geometry.m} x {geometry.n} dot products of "
        f"{geometry.k} {geometry.dtype} numbers, with the arithmetic of {geometry.generation}: hardware that "
        f"multiplies only the weights that the pattern {geometry.pattern} keeps, and runs other layers dense.",
        utilisation="products of weights / (multipliers x all cycles)",
        tiles=[tile("Transfers per image", f"{transfers.sum():,.1f}", f"{sparse} of {len(cycles)} layers run sparse")],
        sections=[
            _layers(network, cycles, run),
            _multipliers(network, run),
            _transfers(cycles, transfers),
            _storage(network),
        ],
    )


def _pattern(layer: MmaLayer, network: MmaNetwork) -> str:
    return str(network.geometry.pattern) if layer.sparse else "dense"


def _layers(network: MmaNetwork, cycles: NDArray[np.float64], run: MmaRun) -> str:
    convolution = any(starts > 1 for starts in network.starts)
    rows, drawn = [], []
    for index, (layer, starts, count) in enumerate(
        zip(network.layers, network.starts, network.weight_counts, strict=True)
    ):
        shape = f"{layer.inputs:,} x {layer.outputs:,}" + (f" (x {starts:,})" if starts > 1 else "")
        rows.append(
            [
                f"layer {index}",
                shape,
                f"{count:,}",
                _pattern(layer, network),
                f"{layer.pad:,}",
                f"{cycles[index]:,.1f}",
                percent(cycles[index] / cycles.sum()),
                percent(run.layer_utilisation[index]),
            ]
        )
        drawn.append(bar(f"layer {index}", [("busy", cycles[index] / cycles.max())], f"{cycles[index]:,.1f}"))
    pads = sum(layer.pad for layer in network.layers)
    total = [
        "all",
        "",
        f"{sum(network.weight_counts):,}",
        "",
        f"{pads:,}",
        f"{cycles.sum():,.1f}",
        percent(1),
        percent(run.utilisation),
    ]
    heads = [
        "Layer",
        "Inputs x outputs (x positions)" if convolution else "Inputs x outputs",
        "Weights",
        "Runs",
        "Columns of padding",
        "Cycles per image",
        "Share of cycles",
        "Multipliers busy",
    ]
    return section(
        "Layers",
        "How each layer runs, and what it costs. A layer is a product of matrices, for all images together; what the "
        "host does between layers is not counted. Padding fills groups of input channels up to the size of a group.",
        table(heads, rows, total),
        bars(drawn, "Cycles per image: those of the product of all images, divided by their number."),
    )


def _multipliers(network: MmaNetwork, run: MmaRun) -> str:
    drawn = [
        bar(f"layer {index} ({_pattern(layer, network)})", [("busy", busy), ("rest", 1 - busy)], percent(busy))
        for index, (layer, busy) in enumerate(zip(network.layers, run.layer_utilisation.tolist(), strict=True))
    ]
    drawn.append(bar("all", [("busy", run.utilisation), ("rest", 1 - run.utilisation)], percent(run.utilisation)))
    return section(
        "Multipliers busy",
        f"How much of what the {run.multipliers:,} multipliers could do in a layer's cycles are products of weights "
        "and activations. The rest goes to padding, to parts of the tile that a small matrix leaves empty, and to the "
        "pipeline at the beginning and the end of each job.",
        '<ul class="legend"><li><i class="busy"></i>products of weights</li><li><i class="rest"></i>all else</li></ul>',
        bars(drawn, "Share of all multiplications that were possible; a full bar is 100%."),
    )


def _transfers(cycles: NDArray[np.float64], transfers: NDArray[np.float64]) -> str:
    scale = (cycles + transfers).max()
    rows, drawn = [], []
    for index, (busy, moved) in enumerate(zip(cycles.tolist(), transfers.tolist(), strict=True)):
        parts = [("busy", busy / scale), ("shade-2", moved / scale)]
        drawn.append(bar(f"layer {index}", parts, f"{busy:,.1f} + {moved:,.1f}"))
        rows.append([f"layer {index}", f"{busy:,.1f}", f"{moved:,.1f}", percent(moved / (busy + moved))])
    computing, moving = float(cycles.sum()), float(transfers.sum())
    total = ["all", f"{computing:,.1f}", f"{moving:,.1f}", percent(moving / (computing + moving))]
    return section(
        "Transfers",
        "Words that load the operands and read the results, one a cycle, while no job runs. They are not part of the "
        "cycles above. The more images run together, the fewer transfers of weights there are for each.",
        '<ul class="legend"><li><i class="busy"></i>cycles of jobs</li><li><i class="shade-2"></i>transfers</li></ul>',
        bars(drawn, "Cycles and transfers per image, all bars to the same scale."),
        table(["Layer", "Cycles of jobs", "Transfers", "Transfers, share of both"], rows, total),
    )


def _storage(network: MmaNetwork) -> str:
    geometry, stored = network.geometry, stored_bits(network)
    codes = sum(operand.codes.size for operand in network.operands if operand.codes is not None)
    metadata = codes * geometry.pattern.code_bits
    biases = sum(layer.outputs for layer in network.layers) * geometry.result.bits
    parts = {
        f"Weights ({geometry.dtype})": ("shade-1", stored.image - metadata - biases),
        "Metadata of the pattern": ("shade-2", metadata),
        "Biases": ("shade-3", biases),
    }
    scale = max(stored.dense, stored.image)
    drawn = [
        bar("Dense floats", [("dense", stored.dense / scale)], f"{in_bytes(stored.dense)} bytes"),
        bar(
            "Compiled network",
            [(kind, size / scale) for kind, size in parts.values()],
            f"{in_bytes(stored.image)} bytes",
        ),
    ]

    def row(text: str, size: int) -> list[str]:
        return [text, in_bytes(size), percent(size / stored.image), percent(size / stored.dense, 2)]

    legend = "".join(f'<li><i class="{kind}"></i>{text}</li>' for text, (kind, _) in parts.items())
    return section(
        "Storage",
        "The size of the compiled network, compared with all weights and biases of the dense network as 32-bit floats: "
        f"a compression ratio of {stored.ratio:.2f}. Metadata says which weights of a group are kept, "
        f"{geometry.pattern.code_bits} bits for each group.",
        f'<ul class="legend"><li><i class="dense"></i>Dense floats</li>{legend}</ul>',
        bars(drawn, "Size in bytes, both bars to the same scale."),
        table(
            ["Part", "Bytes", "Share of the network", "Share of the dense size"],
            [
                ["Dense floats", in_bytes(stored.dense), "", percent(1, 2)],
                *(row(text, size) for text, (_, size) in parts.items()),
            ],
            row("Compiled network", stored.image),
        ),
    )
