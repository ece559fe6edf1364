import pytest

from zeroskip.model.pruning.schedules import cubic, iterative


def test_iterative_keeps_the_same_share_every_time() -> None:
    densities = iterative(0.0625, 4)
    assert densities == pytest.approx((0.5, 0.25, 0.125, 0.0625))
    assert densities[-1] == 0.0625


def test_cubic_by_the_formula_of_the_paper() -> None:
    # Sparsities of equation 1 with s_i = 0, s_f = 0.9: s_f + (s_i - s_f) * (1 - t / 4) ** 3.
    sparsities = [0.9 - 0.9 * 0.421875, 0.9 - 0.9 * 0.125, 0.9 - 0.9 * 0.015625, 0.9]
    assert [1 - density for density in cubic(0.1, 4)] == pytest.approx(sparsities)
    assert cubic(0.1, 4)[-1] == 0.1


@pytest.mark.parametrize("schedule", [iterative, cubic])
def test_falling_and_checked(schedule) -> None:
    densities = schedule(0.07, 9)
    assert len(densities) == 9
    assert list(densities) == sorted(densities, reverse=True)
    assert schedule(0.07, 1) == (0.07,)
    with pytest.raises(ValueError, match=r"^steps must be at least 1, not 0$"):
        schedule(0.5, 0)
    for density in (0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=f"^density must be above 0 and at most 1, not {density}$"):
            schedule(density, 3)


def test_cubic_from_a_density_that_is_reached_already() -> None:
    # s_i = 0.5, s_f = 0.9.
    sparsities = [0.9 - 0.4 * 0.421875, 0.9 - 0.4 * 0.125, 0.9 - 0.4 * 0.015625, 0.9]
    assert [1 - density for density in cubic(0.1, 4, initial=0.5)] == pytest.approx(sparsities)
    assert cubic(0.1, 3, initial=0.1) == pytest.approx((0.1, 0.1, 0.1))
    for initial in (0.05, 1.5):
        with pytest.raises(ValueError, match=f"^initial must be 0.1, the final density, to 1, not {initial}$"):
            cubic(0.1, 3, initial=initial)
