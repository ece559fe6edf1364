"""The version of the code that measures: numbers that other code measured are not used."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version

from zeroskip.model.sources import closure_hash

MEASURING = ("zeroskip.model.search.methods.run_method", "zeroskip.model.search.methods.compare")
"""The modules that run a search, with all that they import."""

NOT_MEASURING = (
    "zeroskip.model.cores",
    "zeroskip.model.progress",
    "zeroskip.model.search.choices",
    "zeroskip.model.search.progress",
    "zeroskip.model.user_code",
)
"""Modules among these that change no number: names and help texts, the progress that is shown, and how a worker process
finds the user's modules. The code of a core is part of a search's configuration (zeroskip.model.search.setup)."""


@cache
def code_hash() -> str:
    """A hash of the code that prunes, trains and measures: of the source files here, and torch's version."""
    code = closure_hash(*MEASURING, without=NOT_MEASURING)
    return hashlib.sha256(f"torch {version('torch')} {code}".encode()).hexdigest()


def hash_with_code(configuration: str) -> str:
    """A hash of all that measured numbers depend on: the `configuration`, and the code."""
    return hashlib.sha256(f"{configuration} {code_hash()}".encode()).hexdigest()
