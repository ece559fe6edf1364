"""A compiled network laid out anew, for an array of other sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from zeroskip.model.eie.bundle import EieNetwork, assemble, fitted
from zeroskip.model.eie.format import decode
from zeroskip.model.eie.geometry import MEMORIES

MOST_ROWS = 1 << 16
"""The most rows of a PE's activation files."""

_ROOMY = {"entry_words": 1 << 24, "pointers": 1 << 24, "activation_rows": MOST_ROWS, "layers": 256}


def relaid(network: EieNetwork, pes: int, *, fit: Sequence[str] = MEMORIES) -> EieNetwork:
    """`network` on `pes` PEs: the same weights in the same order, and so the same outputs, bit for bit. The memories
    named in `fit` are as large as it then needs, to the next power of two; the others keep their sizes.

    Raises ValueError where `pes` is no power of two from 1 to 256, and FitError where a memory that keeps its size is
    too small.
    """
    geometry = dataclasses.replace(network.geometry, pes=pes, **{field: _ROOMY[field] for field in fit})
    codes = [decode(network.columns(index), network.geometry) for index in range(len(network.layers))]
    laid = assemble(geometry, network.layers, codes, network.codebooks, network.stages, network.order)
    fitting = fitted(geometry, network.layers, laid.pointers, fit)
    return dataclasses.replace(network, geometry=fitting, entries=laid.entries, pointers=laid.pointers)
