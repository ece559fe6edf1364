import dataclasses

import numpy as np
import pytest

from zeroskip.model.eie.bundle import EieLayer, EieNetwork, assemble
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.storage import Storage, storage

LAYER = EieLayer(inputs=3, outputs=4, relu=False, bias=True, input_fraction=8, weight_fraction=6, output_fraction=8)


def network(geometry: EieGeometry) -> EieNetwork:
    """Three entries in PE 0 (rows 0 and 2), two in PE 1 (rows 1 and 3); the last column is the bias."""
    codes = np.array([[1, 0, 2, 0], [0, 0, 3, 0], [0, 0, 0, 1], [0, 0, 1, 0]], np.uint8)
    codebooks = np.zeros((1, geometry.codebook_size), np.int16)
    return assemble(geometry, (LAYER,), [codes], codebooks)


def test_by_hand() -> None:
    geometry = EieGeometry(pes=2, entries_per_word=2, entry_words=4, pointers=8)
    sizes = storage(network(geometry))
    # 4 x (3 + 1) floats; 2 + 1 words of 2 x 8 bits; 2 x 5 pointers that count to 8; 16 values.
    assert sizes == Storage(dense=16 * 32, entries=3 * 16, pointers=10 * 4, codebooks=16 * 16)
    assert sizes.image == 48 + 40 + 256
    assert sizes.ratio == pytest.approx(512 / 344)


def test_layers_share_words() -> None:
    geometry = EieGeometry(pes=1, index_bits=2, code_bits=3, entries_per_word=8, entry_words=64, pointers=16)
    layers = tuple(dataclasses.replace(LAYER, inputs=4, outputs=4, bias=False) for _ in range(2))
    codes = [np.full((4, 4), 7, np.uint8), np.eye(4, dtype=np.uint8)]
    codebooks = np.zeros((2, geometry.codebook_size), np.int16)
    sizes = storage(assemble(geometry, layers, codes, codebooks))
    # 16 + 4 entries of 5 bits in 3 words of 8 (no gap between the layers); 2 x 5 pointers that count to 512.
    assert sizes == Storage(dense=2 * 16 * 32, entries=3 * 40, pointers=10 * 10, codebooks=2 * 8 * 16)


def test_unused_words_do_not_count() -> None:
    small = network(EieGeometry(pes=2, entries_per_word=2, entry_words=4, pointers=8))
    padded = dataclasses.replace(small, entries=np.concatenate([small.entries, small.entries], axis=1))
    assert storage(padded) == storage(small)
