"""What the array's host computes for tokens, against what it is defined to be, and by hand."""

from __future__ import annotations

from fractions import Fraction
from math import exp

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.model.eie.host import run_host
from zeroskip.model.network.host_stages import HostStage
from zeroskip.model.network.token_stages import (
    ConstantStage,
    EmbeddingStage,
    NormStage,
    ProductStage,
    ScaleStage,
    SoftmaxStage,
)


def ran(stage: HostStage, *given: list[int], fractions: tuple[int, ...] = (0,), result: int) -> list[int]:
    values = [np.array([part], np.int16) for part in given]
    found: NDArray[np.int16] = run_host(stage, values, fractions, result).outputs
    return found[0].tolist()


def floats(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def test_normalisation_by_hand() -> None:
    """1, 3, 5, 7 have the mean 4 and the variance 5; with eps 4 the root is 3. Without the mean, the mean square of 1,
    5, 5, 7 is 25."""
    fields = {"values": 4, "width": 4, "weight": floats(3, 3, 3, 6), "bias": floats(0, 0, 0.5, 0)}
    assert ran(NormStage(eps=4.0, centred=True, **fields), [1, 3, 5, 7], result=3) == [-24, -8, 12, 48]
    # The same numbers with other fraction bits.
    given = [4, 12, 20, 28]
    assert ran(NormStage(eps=4.0, centred=True, **fields), given, fractions=(2,), result=3) == [-24, -8, 12, 48]
    fields = {"values": 4, "width": 4, "weight": floats(6, 6, 6, 6), "bias": floats(0, 0, 0, 0)}
    assert ran(NormStage(eps=11.0, centred=False, **fields), [1, 5, 5, 7], result=3) == [8, 40, 40, 56]


def test_softmax_by_its_definition() -> None:
    """In exact fractions, with the powers as integers."""
    rng = np.random.default_rng(0)
    for width, fraction, result in ((1, 3, 15), (5, 8, 14), (40, 11, 16)):
        rows = rng.integers(-3000, 3000, width).tolist()
        unit = 1 << 30
        powers = []
        for value in rows:
            below = max(rows) - value
            coarse, fine = (round(unit * exp(-steps / 2**fraction)) for steps in (below // 256 * 256, below % 256))
            powers.append((coarse * fine + unit // 2) // unit)
        wanted = [min(int(Fraction(power, sum(powers)) * 2**result + Fraction(1, 2)), 32_767) for power in powers]
        stage = SoftmaxStage(values=width, width=width, scale=1.0)
        assert ran(stage, rows, fractions=(fraction,), result=result) == wanted


def test_a_mask_leaves_values_out() -> None:
    """Row 2 sees two equal values; what is masked may be larger."""
    mask = np.array([[1, 0, 0], [1, 1, 0]], np.uint8)
    stage = SoftmaxStage(values=12, width=3, scale=1.0, mask=mask)
    found = ran(stage, [0, 9, 9, 4, 4, 9] * 2, result=10)
    assert found == [1024, 0, 0, 512, 512, 0] * 2


def test_products_of_matrices_by_hand() -> None:
    """(1 2; 3 4) by (5 6; 7 8), twice, a quarter of it; 19 / 4 is 4.75 and 43 / 4 is 10.75."""
    stage = ProductStage(batch=2, rows=2, depth=2, columns=2, scale=0.25, back=(1, 2))
    found = ran(stage, [1, 2, 3, 4] * 2, [5, 6, 7, 8] * 2, fractions=(1, 0), result=3)
    assert found == [19, 22, 43, 50] * 2


def test_the_greatest_products_are_exact() -> None:
    """Sums far above 32 bits, which differ by one."""
    depth = 1 << 12
    given = np.full(depth, 32_767, np.int16)
    other = given.copy()
    other[0] = 32_766
    stage = ProductStage(batch=1, rows=1, depth=depth, columns=1, scale=1.0, back=(1, 2))
    found = run_host(stage, [given[None], other[None]], (0, 0), -28).outputs
    assert found[0, 0] == round(32_767 * (32_767 * depth - 1) / 2**28)


def test_constants_by_hand() -> None:
    scale = ScaleStage(values=4, scale=floats(2, -1), shift=floats(0.5, 0))
    assert ran(scale, [3, 4, 5, 6], fractions=(1,), result=2) == [14, -8, 22, -12]
    table = EmbeddingStage(values=2, table=floats(1, 2, 3, 4, 5, 6).reshape(3, 2))
    assert ran(table, [2, 0], result=1) == [10, 12, 2, 4]
    assert ran(ConstantStage(values=2, constant=floats(0.5, 7, 1)), [9, 9], result=1) == [1, 14, 2]


def test_what_does_not_fit_is_counted() -> None:
    made = run_host(
        ScaleStage(values=3, scale=floats(2), shift=floats(0)), [np.array([[20_000, 1, 0]], np.int16)], (0,), -3
    )
    assert (made.outputs[0].tolist(), made.values, made.vanished, made.saturated) == ([5000, 0, 0], 2, 1, 0)
    made = run_host(ScaleStage(values=1, scale=floats(2), shift=floats(0)), [np.array([[20_000]], np.int16)], (0,), 0)
    assert (made.outputs[0].tolist(), made.saturated) == ([32_767], 1)


@pytest.mark.parametrize("token", [3, -1])
def test_a_token_that_is_no_row_is_named(token: int) -> None:
    table = EmbeddingStage(values=2, table=np.ones((3, 2), np.float32))
    with pytest.raises(ValueError, match=rf"^inputs must be whole numbers from 0 to 2, .* not {token} \(sample 0, val"):
        ran(table, [0, token], result=0)
