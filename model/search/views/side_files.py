"""The names of the files that a search writes beside its plan. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

PICTURE = ".png"
CURVES, CURVES_DATA, CURVES_PICTURE = ".curves.csv", ".curves.json", ".curves.png"
ITERATIONS, ITERATIONS_PICTURE, ADAPTED = ".iterations.csv", ".iterations.png", ".adapted.safetensors"
EPISODES, EPISODES_PICTURE = ".episodes.csv", ".episodes.png"

SUFFIXES = (
    *(PICTURE, CURVES, CURVES_DATA, CURVES_PICTURE),
    *(ITERATIONS, ITERATIONS_PICTURE, ADAPTED, EPISODES, EPISODES_PICTURE),
)
"""Of all methods."""


def journal_of(output: Path) -> Path:
    """The path of the journal of the search for the plan `output`."""
    return Path(f"{output}.journal")


def adapted_weights(output: Path) -> Path:
    """The path of the weights that NetAdapt ends with, for the plan `output`."""
    return output.with_suffix(ADAPTED)


def side_files(output: Path) -> list[Path]:
    """All that a search may write beside the plan `output`, whatever its method."""
    return [journal_of(output), *(output.with_suffix(suffix) for suffix in SUFFIXES)]
