"""The code that measures, as what was measured with other code is not known."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from model.files import add_files

MODELS = Path(__file__).parent.parent


@lru_cache
def code() -> str:
    """A hash of what prunes, trains and measures, here and in torch."""
    digest = hashlib.sha256(repr([(name, version(name)) for name in ("torch", "torch-pruning")]).encode())
    add_files(digest, sorted(MODELS.rglob("*.py")))
    return digest.hexdigest()


def with_code(configuration: str) -> str:
    """A hash of all that numbers depend on: the `configuration`, and the code."""
    return hashlib.sha256(f"{configuration} {code()}".encode()).hexdigest()
