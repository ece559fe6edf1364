"""Writes the sessions beside a waveform."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zeroskip.cosim.waves import gtkwave, surfer
from zeroskip.cosim.waves.beside import names_of, sessions_of
from zeroskip.cosim.waves.shown import Enumeration, Group, enumerations
from zeroskip.model.files import replacing

HEAD = "zeroskip wrote this session, and writes it anew with its waveform"
"""The first line of a session that nobody has saved since."""


def write_sessions(waveform: Path, groups: Sequence[Group]) -> tuple[Path, ...]:
    """Writes the sessions that show `groups` beside a waveform, and the files with the names of enumerations that they
    need. Returns those that were written: one that the user has saved, or made, stays."""
    found = enumerations(groups)
    filters = names_of(waveform)
    for_gtkwave, for_surfer = sessions_of(waveform)
    texts = {
        for_gtkwave: gtkwave.session(groups, head=HEAD, waveform=waveform, path=for_gtkwave, filters=filters),
        for_surfer: surfer.commands(groups, head=HEAD),
    }
    written = tuple(path for path in texts if not _of_user(path))
    for path in written:
        _write(path, texts[path])
    for one in found:
        _write(filters / gtkwave.filter_name(one), gtkwave.filter_text(one))
        _write(
            waveform.parent / surfer.MAPPINGS / gtkwave.filter_name(one), surfer.mapping_text(one, _bits(one, groups))
        )
    return written


def _of_user(session: Path) -> bool:
    """Whether a session is there that zeroskip did not write, or that a viewer has saved since."""
    return session.exists() and HEAD not in session.read_text(errors="replace").partition("\n")[0]


def _bits(enumeration: Enumeration, groups: Sequence[Group]) -> int:
    return next(signal.bits for group in groups for signal in group.signals if signal.form == enumeration)


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)
