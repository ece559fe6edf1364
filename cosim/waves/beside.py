"""The files beside a waveform. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path


def sessions_of(waveform: Path) -> tuple[Path, Path]:
    """The sessions that show a waveform, of GTKWave and of Surfer."""
    return waveform.with_suffix(".gtkw"), waveform.with_suffix(".sucl")


def names_of(waveform: Path) -> Path:
    """The folder with GTKWave's names of enumerations."""
    return waveform.with_suffix(".names")
