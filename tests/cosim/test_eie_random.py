"""Random geometries, layers and corner cases on the RTL: slow, since nearly every example is a build of its own."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_inputs, random_network

from cosim.verify import verify
from model.formats.geometry import EieGeometry

pytestmark = pytest.mark.slow


def random_geometry(rng: np.random.Generator) -> EieGeometry:
    # Half of the queues are shorter than six, where a full queue holds up the array all the time.
    depth = rng.integers(1, 65) if rng.random() < 0.5 else rng.integers(1, 6)
    return EieGeometry(
        pes=int(2 ** rng.integers(0, 7)),
        index_bits=int(rng.integers(2, 9)),
        code_bits=int(rng.choice([4, 4, 2, 8])),
        entries_per_word=int(2 ** rng.integers(0, 6)),
        queue_depth=int(depth),
        accumulator_bits=int(rng.choice([16, 20, 32, 40])),
        product_shift=int(rng.choice([0, 0, 4, 9])),
    )


@pytest.mark.parametrize("seed", range(60))
def test_random(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry = random_geometry(rng)
    sizes = rng.choice([1, 2, 3, 63, 64, 65, 130, 200, 300], rng.integers(2, 6)).tolist()
    density = float(rng.choice([0.0, 0.02, 0.1, 0.5, 1.0]))
    network = random_network(
        rng,
        geometry,
        sizes,
        density,
        bias=bool(rng.random() < 0.5),
        shift=int(rng.integers(0, 12)),
        magnitude=int(rng.choice([10, 3000, 32767])),
    )
    inputs = random_inputs(rng, 16, sizes[0], (0.0, 0.05, 0.5, 1.0), int(rng.choice([1, 3000, 32767])))
    verification = verify(network, inputs, seed=seed)
    assert (verification.mismatches, verification.cycle_model_equal) == (0, True), (seed, geometry, sizes, density)
