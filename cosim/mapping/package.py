"""The mapping unit as a package of Verilog (zeroskip.cosim.package)."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mapping.design import mapper_design
from zeroskip.cosim.mapping.program import layer_program, word_bits
from zeroskip.cosim.package.description import Description, Vectors
from zeroskip.cosim.session import most_cycles
from zeroskip.model.cores import UNITS
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.layer import LayerPlan, plan_layer
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.mapping.layouts import MapperTarget, job_layout, load_layout, triple_layout, triples_layout
from zeroskip.rtl.mapping.mapper import Mapper

POINTS, EDGE = 64, 7
"""Points of the made-up cloud, at most, and its size in each direction."""


def describe(geometry: MapperGeometry) -> Description:
    """A unit of `geometry`."""
    return Description(
        core="mapping",
        title=UNITS["mapping"].title,
        prefix="mapping",
        component=Mapper(geometry),
        geometry=geometry,
        words={
            "load": load_layout(geometry),
            "job": job_layout(geometry),
            "triple": triple_layout(geometry),
            "triples": triples_layout(geometry),
        },
        enums={"mapper_target": MapperTarget},
        latency={
            "read to result": 2,
            "start to done": "depends on the job and on how long triples wait; zeroskip.model.mapping.cycles predicts "
            "it exactly where none waits",
        },
        player=PACKAGE / "cosim/mapping/mapper_player.v",
        player_top="mapper_player",
        instance="    mapper mapper (",
        defines={name: int(str(value)) for name, value in mapper_design(geometry).defines.items()},
        waves={
            "signal": [
                {"name": "clk", "wave": "p.............."},
                {"name": "rst", "wave": "10............."},
                [
                    "load",
                    {"name": "load__payload", "wave": "xx=.=x.........", "data": ["word", "word"]},
                    {"name": "load__valid", "wave": "0.1..0........."},
                    {"name": "load__ready", "wave": "x.1............"},
                ],
                [
                    "run",
                    {"name": "start__payload", "wave": "x....=x........", "data": ["job"]},
                    {"name": "start__valid", "wave": "0....10........"},
                    {"name": "start__ready", "wave": "x.1...0......1."},
                    {"name": "triples__payload", "wave": "x........==.=x.", "data": ["", "", ""]},
                    {"name": "triples__valid", "wave": "x.0......1...0."},
                    {"name": "triples__ready", "wave": "1.........01..."},
                    {"name": "done", "wave": "x.0.........10."},
                ],
            ],
            "head": {"text": "A load, and a job that finds a map (shortened)"},
        },
    )


def sample_vectors(geometry: MapperGeometry) -> Vectors:
    """A made-up layer (made_up_layer)."""
    plan, what = made_up_layer(geometry)
    expected = []
    cycles = iter(plan.cycles)
    for sort in plan.sorts:
        expected.append(f"C {next(cycles)} 0 {len(sort.found)}")
        expected += [f"D {word}" for word in _hexadecimal(word_bits(sort.found, geometry))]
    for part in plan.maps:
        expected += _triples(plan, part)
        # The unit still shows how many keys the last sort stored.
        expected.append(f"C {next(cycles)} 0 {len(plan.sorts[-1].found)}")
    limits = most_cycles(np.array(plan.cycles)).tolist()
    return Vectors(
        program=b"".join(layer_program(plan, limits)),
        expected="\n".join([*expected, ""]),
        what=what,
    )


def made_up_layer(geometry: MapperGeometry) -> tuple[LayerPlan, str]:
    """A cloud of points and a kernel of 3 in each direction, and what they are, in words. Raises ValueError where the
    unit can number too few points."""
    kernel = list(product((-1, 0, 1), repeat=geometry.dims))[: geometry.offsets]
    # The list fills whole words: what stands behind it in its last one would be unknown.
    most = min(POINTS, geometry.words // 2 * geometry.width, 1 << geometry.index_bits)
    count = most // geometry.width * geometry.width
    if count == 0:
        raise ValueError(f"index_bits must be able to number {geometry.width} points, to run a test bench")
    plan = plan_layer(_cloud(geometry, count), kernel, geometry)
    return plan, f"a made-up cloud of {count} points, and {len(kernel)} offsets"


def _cloud(geometry: MapperGeometry, count: int) -> NDArray[np.int64]:
    """Points of a cube, each once, in any order."""
    rng = np.random.default_rng(0)
    edge = next(edge for edge in range(EDGE, EDGE + count + 1) if edge**geometry.dims >= count)
    chosen = rng.permutation(edge**geometry.dims)[:count]
    places = np.stack(np.unravel_index(chosen, (edge,) * geometry.dims), axis=1)
    return np.column_stack([np.zeros(count, np.int64), places - edge // 2])


def _hexadecimal(bits: NDArray[np.uint8]) -> list[str]:
    """Words (words x bits) as a simulator prints them."""
    digits = -(-bits.shape[1] // 4)
    packed = np.packbits(bits, axis=1, bitorder="little")
    return [f"{int.from_bytes(row.tobytes(), 'little'):0{digits}x}" for row in packed]


def _triples(plan: LayerPlan, part: range) -> list[str]:
    """The lines of the record with the triples of a job, which counts its offsets from 0 on."""
    layout: Any = triple_layout(plan.geometry)
    pairs = plan.geometry.pairs
    inside = (plan.triples[:, 0] >= part.start) & (plan.triples[:, 0] < part.stop)
    found = plan.triples[inside] - np.array([part.start, 0, 0])
    numbers = [
        sum(int(value) << layout[name].offset for name, value in zip(("offset", "input", "output"), one, strict=True))
        for one in found
    ]
    digits = -(-layout.size * pairs // 4)
    lines = []
    for first in range(0, len(numbers), pairs):
        some = numbers[first : first + pairs]
        word = sum(number << (place * layout.size) for place, number in enumerate(some))
        lines.append(f"M {len(some)} {word:0{digits}x}")
    return lines
