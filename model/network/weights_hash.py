"""A hash of a network's weights."""

from __future__ import annotations

import hashlib

import numpy as np
from torch import nn


def weights_hash(module: nn.Module) -> str:
    """A hash of the names and the numbers of a network's state_dict."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).data)
    return digest.hexdigest()
