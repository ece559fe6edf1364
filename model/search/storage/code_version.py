"""The code that measures, as what was measured with other code is not known."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version

from zeroskip.model.sources import closure_hash

MEASURING = ("zeroskip.model.search.methods.run_method", "zeroskip.model.search.methods.compare")
"""The modules that searches consist of, with all that they import."""


@cache
def code() -> str:
    """A hash of what prunes, trains and measures, here and in torch."""
    packages = [(name, version(name)) for name in ("torch", "torch-pruning")]
    return hashlib.sha256(f"{packages} {closure_hash(*MEASURING)}".encode()).hexdigest()


def with_code(configuration: str) -> str:
    """A hash of all that numbers depend on: the `configuration`, and the code."""
    return hashlib.sha256(f"{configuration} {code()}".encode()).hexdigest()
