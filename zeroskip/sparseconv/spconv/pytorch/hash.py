"""Where spconv has its hash table, which is missing here."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "HashTable":
        raise ImportError(
            "HashTable is not part of zeroskip.sparseconv: zeroskip.sparseconv.nn.functional.rows_at finds the rows of "
            "coordinates"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
