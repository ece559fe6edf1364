"""The cost of a whole pruned network by the exact models, to compare the sum over a cost table with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.cores import CORES
from zeroskip.model.search.choices import CORE_COSTS
from zeroskip.model.search.costs.latency import median_seconds
from zeroskip.model.search.costs.table import BATCH, core_geometry


def exact_cost(
    cost: str, pruned: nn.Module, inputs: NDArray[np.float32], geometries: Mapping[str, Any]
) -> float | None:
    """Cycles of an image in the whole network as it is compiled, the mean over `inputs` (n, ...), or its seconds on a
    CPU. `geometries` holds the geometry of the cost's core, by its name.

    Returns None for the other costs, whose tables are exact. Raises ValueError where cycles are counted and the network
    cannot be compiled.
    """
    if cost == "latency":
        batch = torch.from_numpy(np.resize(inputs, (BATCH, *inputs.shape[1:])))
        return median_seconds(pruned.eval(), batch) / BATCH
    if cost not in CORE_COSTS:
        return None
    _, core, geometry = core_geometry(cost, geometries)
    return core.network_cost(pruned, inputs, geometry)


def require_compilable(
    cost: str, module: nn.Module, inputs: NDArray[np.float32], geometries: Mapping[str, Any], *, remedy: str
) -> float | None:
    """`exact_cost` where the cost counts cycles of a core, else None. Raises ValueError, with the `remedy`, where the
    network cannot be compiled for the core: `zeroskip.compile` would refuse what a search finds."""
    if cost not in CORE_COSTS:
        return None
    try:
        return exact_cost(cost, module, inputs, geometries)
    except ValueError as error:
        title = CORES[core_geometry(cost, geometries)[0]].title
        raise ValueError(
            f"the network cannot be compiled for the {title}, whose cycles are the cost: {error}; {remedy}"
        ) from error
