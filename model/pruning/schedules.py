"""Pruning schedules: how the density (kept weights / all weights) falls to its final value.

Every schedule returns one density for each step. The densities fall, and the last one is exactly `final`.
"""


def iterative(final: float, steps: int) -> tuple[float, ...]:
    """Every step keeps the same fraction of the remaining weights (Frankle & Carbin, ICLR 2019)."""
    _require_density(final)
    _require_steps(steps)
    return (*(final ** (step / steps) for step in range(1, steps)), final)


def cubic(final: float, steps: int, *, initial: float = 1.0) -> tuple[float, ...]:
    """Falls fast at first and slowly at the end, when few weights are redundant (Zhu & Gupta 2017, arXiv 1710.01878,
    eq. 1).

    `initial` is the density before the first step.
    """
    _require_density(final)
    _require_steps(steps)
    if not final <= initial <= 1:
        raise ValueError(f"initial must be {final}, the final density, to 1, not {initial}")
    return (*(final + (initial - final) * (1 - step / steps) ** 3 for step in range(1, steps)), final)


def _require_density(density: float) -> None:
    if not 0 < density <= 1:
        raise ValueError(f"density must be above 0 and at most 1, not {density}")


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
