"""Random geometries, and on each of them random networks: slow, since every geometry is a build of its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.networks import random_inputs, random_network

from zeroskip.cosim.verify import verify
from zeroskip.model.eie.geometry import EieGeometry

pytestmark = pytest.mark.slow

LONGEST = 300


def random_geometry(seed: int) -> EieGeometry:
    """A geometry whose memories hold any network of `networks`."""
    rng = np.random.default_rng(seed)
    pes = int(2 ** rng.integers(0, 7))
    entries_per_word = int(2 ** rng.integers(0, 6))
    # Half of the queues are shorter than six, where a full queue holds up the array all the time.
    depth = rng.integers(1, 65) if rng.random() < 0.5 else rng.integers(1, 6)
    bare = EieGeometry(pes=pes)
    return EieGeometry(
        pes=pes,
        index_bits=int(rng.integers(2, 9)),
        code_bits=int(rng.choice([4, 4, 2, 8])),
        entries_per_word=entries_per_word,
        queue_depth=int(depth),
        accumulator_bits=int(rng.choice([16, 20, 32, 40])),
        product_shift=int(rng.choice([0, 0, 4, 9])),
        entry_words=4 * (LONGEST + 1) ** 2 // entries_per_word,
        pointers=4 * (LONGEST + 2),
        activation_rows=-(-LONGEST // bare.window) * bare.rows_per_window,
        layers=4,
    )


SIZES = st.lists(st.sampled_from([1, 2, 3, 63, 64, 65, 130, 200, LONGEST]), min_size=2, max_size=5)


@pytest.mark.parametrize("seed", range(25))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    number=st.integers(0, 2**32 - 1),
    sizes=SIZES,
    density=st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]),
    bias=st.booleans(),
    shift=st.integers(0, 11),
    magnitude=st.sampled_from([10, 3000, 32767]),
    images=st.lists(st.sampled_from([0.0, 0.05, 0.5, 1.0]), min_size=1, max_size=8),
)
def test_random(
    seed: int,
    number: int,
    sizes: list[int],
    density: float,
    bias: bool,
    shift: int,
    magnitude: int,
    images: list[float],
) -> None:
    rng = np.random.default_rng(number)
    geometry = random_geometry(seed)
    network = random_network(rng, geometry, sizes, density, bias=bias, shift=shift, magnitude=magnitude)
    network = dataclasses.replace(network, geometry=geometry)
    inputs = random_inputs(rng, len(images), sizes[0], images, magnitude)
    verification = verify(network, inputs, load="ports" if number % 2 else "direct", seed=number)
    assert (verification.mismatches, verification.cycle_model_equal) == (0, True)
