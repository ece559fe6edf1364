"""The shape and the range of samples: what fits, what is refused with which remedy, and what is warned of."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import pytest

from zeroskip.model.network.samples import SampleForm, require_shape


def made(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros((2, *shape), np.float32)


@pytest.mark.parametrize(
    ("shape", "given"),
    [((12,), (12,)), ((3, 4, 5), (3, 4, 5)), ((16,), (1, 4, 4)), ((1, 4, 4), (16,)), ((6, 5), (6, 5)), ((6, 5), (30,))],
)
def test_what_fits(shape: tuple[int, ...], given: tuple[int, ...]) -> None:
    require_shape(shape, made(given), "inputs")


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        (
            (3, 4, 5),
            (4, 5, 3),
            "inputs must be samples x 3 x 4 x 5, as the network takes, not samples x 4 x 5 x 3; they look like "
            "samples x height x width x channels: use inputs.transpose(0, 3, 1, 2)",
        ),
        (
            (1, 4, 4),
            (4, 4, 1),
            "inputs must be samples x 1 x 4 x 4, as the network takes, not samples x 4 x 4 x 1; they look like "
            "samples x height x width x channels: use inputs.transpose(0, 3, 1, 2)",
        ),
        (
            (3, 4, 5),
            (3, 5, 4),
            "inputs must be samples x 3 x 4 x 5, as the network takes, not samples x 3 x 5 x 4; the lengths are in "
            "another order: use inputs.transpose(0, 1, 3, 2)",
        ),
        (
            (1, 28, 28),
            (784,),
            "inputs must be samples x 1 x 28 x 28, as the network takes, not samples x 784; where the values are in "
            "this order, use inputs.reshape(-1, 1, 28, 28)",
        ),
        (
            (1, 28, 28),
            (28, 28),
            "inputs must be samples x 1 x 28 x 28, as the network takes, not samples x 28 x 28; where the values are "
            "in this order, use inputs.reshape(-1, 1, 28, 28)",
        ),
        (
            (48,),
            (3, 4, 4),
            "inputs must be samples x 48, as the network takes, not samples x 3 x 4 x 4; where the values are in this "
            "order, use inputs.reshape(-1, 48)",
        ),
        ((3, 4, 5), (6, 2, 5), "inputs must be samples x 3 x 4 x 5, as the network takes, not samples x 6 x 2 x 5"),
        (
            (3, 4, 5),
            (3, 4, 6),
            "inputs must have 60 values a sample, as the network takes, not 72 (3 x 4 x 5, not 3 x 4 x 6)",
        ),
    ],
)
def test_what_does_not(shape: tuple[int, ...], given: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        require_shape(shape, made(given), "inputs", flat=False)
    if not (len(given) == 1 and shape[0] == 1):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            require_shape(shape, made(given), "inputs")


def test_the_remedies_are_right() -> None:
    """What an error tells the user to do gives the samples back: numpy does it here."""
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for order in ((0, 2, 3, 1), (0, 1, 3, 2), (0, 3, 2, 1), (0, 2, 1, 3)):
        with pytest.raises(ValueError, match="use inputs") as error:
            require_shape((3, 4, 5), given := images.transpose(order), "inputs")
        axes = re.search(r"transpose\((.*)\)$", str(error.value))
        assert axes is not None
        assert np.array_equal(given.transpose([int(axis) for axis in axes[1].split(",")]), images)


FORM = SampleForm(shape=(4,), low=0.0, high=1.0)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 255), (-1, 1), (0, 2), (-200, 0.5), (0.5, 0.55)], ids=lambda value: f"{value:g}"
)
def test_another_range_is_warned_of(low: float, high: float) -> None:
    inputs = np.linspace(low, high, 8).reshape(2, 4)
    message = f"inputs are from {low:g} to {high:g}, but the network was made with values from 0 to 1"
    with pytest.warns(UserWarning, match=re.escape(message)):
        FORM.warn_of_range([inputs], "inputs")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.1, 0.9), (-0.4, 1.5), (0, 0), (0.2, 0.3)])
def test_a_range_like_the_known_one_is_not(low: float, high: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FORM.warn_of_range([np.linspace(low, high, 8).reshape(2, 4)], "inputs")


def test_tails_of_a_normal_distribution_are_not() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=(20, 10)), rng.normal(size=(100_000, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SampleForm.of(few).warn_of_range([many], "inputs")


def test_the_form_of_inputs() -> None:
    inputs = np.array([[[-2.0, 0.5]], [[0.25, 4.0]]], np.float32)
    assert SampleForm.of(inputs) == SampleForm(shape=(1, 2), low=-2.0, high=4.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": ()}, "shape must be integers of at least 1, not ()"),
        ({"shape": (3, 0)}, "shape must be integers of at least 1, not (3, 0)"),
        ({"shape": (3, 2.0)}, "shape must be integers of at least 1, not (3, 2.0)"),
        ({"shape": (1 << 20, 1 << 20)}, "shape must have at most 268,435,456 values, not 1048576 x 1048576"),
        ({"low": math.nan}, "low must be a finite number, not nan"),
        ({"high": math.inf}, "high must be a finite number, not inf"),
        ({"low": True}, "low must be a finite number, not True"),
        ({"low": 2.0}, "low must be at most high (1.0), not 2.0"),
    ],
)
def test_fields_that_are_wrong(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SampleForm(**{"shape": (4,), "low": 0.0, "high": 1.0, **fields})  # type: ignore[arg-type]
