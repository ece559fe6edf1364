"""Words of a core's memories as bytes of a window."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.rtl.bus.register_map import Window


def window_words(window: Window, bits: NDArray[Any]) -> bytes:
    """Words (words x bits, the lowest bit first), each in as many bytes as it takes in the window."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    words = np.zeros((len(packed), window.word_bytes), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words.tobytes()
