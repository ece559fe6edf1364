"""The cycle model against the cycles that the RTL took, measured by simulation; and where they can be counted by hand.

tests/rtl/eie/test_array.py compares both on every run. Here the cycles of the same networks are written down, so that
the model can be tested without a simulator.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.bench import geometry
from support.networks import random_inputs, random_network

from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.format import encode

MEASURED: list[tuple[dict[str, int], tuple[int, ...], bool, list[list[int]]]] = [
    ({"pes": 1, "queue_depth": 1, "entries_per_word": 2}, (70, 40, 12), True, [[200, 57], [35, 35], [412, 54]]),
    (
        {"pes": 1, "queue_depth": 3, "code_bits": 6, "index_bits": 2},
        (30, 100, 7),
        False,
        [[235, 69], [5, 6], [429, 76]],
    ),
    (
        {"pes": 2, "queue_depth": 2, "entries_per_word": 1, "accumulator_bits": 48},
        (65, 50, 20, 9),
        True,
        [[136, 54, 36], [33, 30, 29], [248, 64, 37]],
    ),
    (
        {"pes": 4, "queue_depth": 8, "index_bits": 2},
        (150, 66, 64, 10),
        True,
        [[194, 95, 52], [34, 45, 45], [340, 86, 60]],
    ),
    (
        {"pes": 4, "queue_depth": 1, "accumulator_bits": 16, "product_shift": 8},
        (90, 130, 10),
        False,
        [[266, 88], [6, 7], [434, 93]],
    ),
    ({"pes": 8, "queue_depth": 2}, (64, 128, 3), True, [[114, 102], [29, 34], [184, 76]]),
]
"""Sizes of the array and of the layers, whether there are biases, and the cycles (images x layers)."""


@pytest.mark.parametrize(("sizes", "widths", "bias", "measured"), MEASURED, ids=str)
def test_the_rtl_took_as_many(
    sizes: dict[str, int], widths: tuple[int, ...], bias: bool, measured: list[list[int]]
) -> None:
    rng = np.random.default_rng(len(widths))
    network = random_network(rng, geometry(**sizes), widths, 0.12, bias=bias)
    inputs = random_inputs(rng, 3, widths[0], (0.5, 0.0, 1.0))
    layers = golden.run(network, inputs)
    assert cycles.run(network, [layer.inputs for layer in layers]).tolist() == measured


def test_without_activations_a_window_takes_a_cycle() -> None:
    """Two cycles go before the first window; in the last but one, the control unit sees that nothing is left."""
    array = geometry(pes=4)
    for inputs in (1, array.window - 1, array.window, array.window + 1, 3 * array.window):
        columns = encode(np.ones((8, inputs), np.uint8), array)
        taken = cycles.layer_cycles(columns, np.zeros((2, inputs), np.int16), array, bias=False)
        assert taken.tolist() == [2 + -(-inputs // array.window) + 2] * 2


def test_batches_of_equal_images_take_the_same_for_each() -> None:
    """Nothing of an image is left in the queues when the next begins."""
    rng = np.random.default_rng(4)
    array = geometry(pes=4, queue_depth=2)
    columns = encode((rng.random((64, 100)) < 0.3).astype(np.uint8), array)
    images = np.repeat((rng.random((1, 100)) < 0.5).astype(np.int16), 6, axis=0)
    alone = cycles.layer_cycles(columns, images[:1], array, bias=False)
    assert cycles.layer_cycles(columns, images, array, bias=False).tolist() == alone.tolist() * 6


def test_windows_without_activations_between_others() -> None:
    """Of five windows, some are empty; the cycles are those of the RTL."""
    rng = np.random.default_rng(9)
    network = random_network(rng, geometry(pes=4), (320, 8), 0.3, bias=False)
    images = np.zeros((5, 320), np.int16)
    for image, places in enumerate(([3, 130], [3, 319], [70, 71, 200], [0, 64, 192, 256], [319])):
        images[image, places] = 700
    assert cycles.run(network, [images]).tolist() == [[30], [31], [30], [31], [31]]
