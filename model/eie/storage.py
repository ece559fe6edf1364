"""The size of a compiled network, compared with the dense network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import VALUE_BITS

DENSE_BITS = 32
"""Width of a weight or bias of the dense network, a float."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Sizes in bits: `dense`, each weight and bias as a float; and the memory image, in three parts:
    `entries`, the words in use of the sparse-matrix memories, `pointers`, the column pointers, and
    `codebooks`.
    """

    dense: int
    entries: int
    pointers: int
    codebooks: int

    @property
    def image(self) -> int:
        return self.entries + self.pointers + self.codebooks

    @property
    def ratio(self) -> float:
        """The compression ratio: dense size over image size."""
        return self.dense / self.image


def storage(network: EieNetwork) -> Storage:
    """Counts whole words of entries, `pointer_bits` for each pointer, and 16 bits for each codebook value."""
    geometry = network.geometry
    words = -(-network.pointers[:, -1].astype(np.int64) // geometry.entries_per_word)
    return Storage(
        dense=DENSE_BITS
        * sum(
            weights + layer.outputs // together * layer.bias
            for weights, layer, together in zip(network.weight_counts, network.layers, network.together, strict=True)
        ),
        entries=int(words.sum()) * geometry.word_bits,
        pointers=network.pointers.size * geometry.pointer_bits,
        codebooks=network.codebooks.size * VALUE_BITS,
    )
