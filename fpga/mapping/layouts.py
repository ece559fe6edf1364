"""Layouts of what a host reads from a mapping unit behind a link."""

from __future__ import annotations

import hashlib
from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data, enum

from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
from zeroskip.model.bits import bits_for
from zeroskip.rtl.link.ports import CoreSizes
from zeroskip.rtl.mapping.layouts import MapperTarget, job_layout, load_layout, stored_layout, triple_layout


class MapperSource(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]
    """What is read."""

    KEYS = 0
    """Key `place` of the unit's memory (stored_layout), `width` in a word."""
    TRIPLES = 1
    """Triple `place` of the last job (triple_layout)."""
    OUTCOME = 2
    """How the last job ended (outcome_layout), at place 0."""


def read_layout(geometry: LinkedMapperGeometry) -> data.StructLayout:
    """The number of a result."""
    return data.StructLayout({"place": bits_for(max(geometry.keys, geometry.triples, 2)), "source": MapperSource})


def outcome_layout(geometry: LinkedMapperGeometry) -> data.StructLayout:
    """How a job ended: the keys that a sort stored, the triples that a map has, whether some of these found no room
    (`overflow`), and whether a list was `disordered`."""
    return data.StructLayout(
        {
            "triples": bits_for(geometry.triples + 1),
            "sorted": bits_for(geometry.keys + 1),
            "overflow": 1,
            "disordered": 1,
        }
    )


def mapper_sizes(geometry: LinkedMapperGeometry) -> CoreSizes:
    """The unit's port, as the link sees it."""
    load = load_layout(geometry)
    results = (stored_layout(geometry), triple_layout(geometry), outcome_layout(geometry))
    return CoreSizes(
        target=load["target"].width,
        address=load["address"].width,
        data=load["data"].width,
        start=job_layout(geometry).size,
        read=read_layout(geometry).size,
        result=max(layout.size for layout in results),
    )


def mapper_layout_digest(geometry: LinkedMapperGeometry) -> str:
    """The first digits of the SHA-256 of how words, jobs and results are laid out."""
    parts: tuple[Any, ...] = (
        *MapperTarget.__members__,
        load_layout(geometry),
        job_layout(geometry),
        read_layout(geometry),
        stored_layout(geometry),
        triple_layout(geometry),
        outcome_layout(geometry),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
