from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from support.bench import Bench, at, geometry

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.activations import ActivationFiles

Cycle = dict[str, int]
"""What happens in one cycle, by the names of PORTS; a port that is not named is low. Reads are requested one cycle
before."""

PORTS = {
    "read_en": "read.en",
    "read_row": "read.addr",
    "hide": "destination.hide",
    "write_en": "destination.write.en",
    "write_row": "destination.write.addr",
    "write_data": "destination.write.data",
    "flag_en": "destination.flag.en",
    "flag_row": "destination.flag.addr",
    "flag": "destination.flag.data",
    "fetch_en": "fetch.en",
    "fetch_row": "fetch.addr",
    "load_en": "load.en",
    "load_row": "load.addr",
    "load_data": "load.data",
    "load_nonzero": "load_nonzero",
    "window": "control.window",
    "clear": "control.clear",
    "swap": "control.swap",
}


def some_cycles(geometry: EieGeometry, count: int, seed: int) -> list[Cycle]:
    """Everything at once, but that the source is not loaded while the destination is written, no row is read while it
    is written, and none in the cycle of a swap. A row is only flagged as non-zero once it has been written."""
    random = Random(seed)
    rows, windows = geometry.activation_rows, geometry.activation_rows // geometry.rows_per_window
    limit = 1 << (geometry.accumulator_bits - 1)

    # Few rows, so that they meet; the rarer swap and clear are, the more is in the files.
    def row() -> int:
        return random.choice([0, 1, 2, rows - 1, random.randrange(rows)])

    cycles = []
    written: set[int] = set()
    for _ in range(count):
        loading = random.random() < 0.3
        cycle = {
            "swap": random.random() < 0.03,
            "clear": random.random() < 0.02,
            "write_en": not loading and random.random() < 0.7,
            "write_row": row(),
            "write_data": random.randrange(-limit, limit),
            "flag_en": not loading and random.random() < 0.7,
            "flag_row": row(),
            "flag": random.random() < 0.7,
            "load_en": loading,
            "load_row": row(),
            "load_data": random.choice([0, random.randrange(-(1 << 15), 1 << 15)]),
            "read_row": row(),
            "hide": random.random() < 0.2,
            "fetch_row": row(),
            "window": random.randrange(windows),
        }

        def may(read: str, write: str, cycle: Cycle = cycle) -> bool:
            met = cycle[f"{write}_en"] and cycle[f"{write}_row"] == cycle[f"{read}_row"]
            return random.random() < 0.7 and not cycle["swap"] and not met

        cycle["read_en"], cycle["fetch_en"] = may("read", "write"), may("fetch", "load")
        cycle["flag"] &= cycle["flag_row"] in written
        if cycle["write_en"]:
            written.add(cycle["write_row"])
        if cycle["swap"] or cycle["clear"]:
            written.clear()
        cycles.append(cycle)
    return cycles


REQUESTS = {"read_en", "read_row", "fetch_en", "fetch_row"}

Shown = tuple[int | None, int | None, int]
"""`read.data` and `fetch.data` from the cycle behind the read to the next swap, and `flags`."""


def rtl_activations(geometry: EieGeometry, cycles: list[Cycle]) -> list[Shown]:
    dut = ActivationFiles(geometry)
    bench = Bench(dut, seed=len(cycles))
    shown: list[Shown] = []

    async def driving(ctx: Any) -> None:
        has_read = has_fetched = 0

        def set_ports(cycle: Cycle, following: Cycle) -> None:
            cycle = {**cycle, "load_nonzero": int(cycle.get("load_data", 0) != 0)}
            for name, port in PORTS.items():
                ctx.set(at(dut, port), (following if name in REQUESTS else cycle).get(name, 0))

        set_ports({}, cycles[0])
        await ctx.tick()
        for cycle, following in zip(cycles, [*cycles[1:], {}], strict=True):
            set_ports(cycle, following)
            shown.append(
                (
                    ctx.get(dut.read.data) if has_read else None,
                    ctx.get(dut.fetch.data) if has_fetched else None,
                    ctx.get(dut.flags),
                )
            )
            await ctx.tick()
            has_read = not cycle.get("swap") and (has_read or cycle.get("read_en"))
            has_fetched = not cycle.get("swap") and (has_fetched or cycle.get("fetch_en"))

    bench.add(driving)
    bench.run()
    return shown


@dataclass
class File:
    rows: dict[int, int] = field(default_factory=dict)
    nonzero: set[int] = field(default_factory=set)

    def flag(self, row: int, flag: int) -> None:
        (self.nonzero.add if flag else self.nonzero.discard)(row)


def expected(geometry: EieGeometry, cycles: list[Cycle]) -> list[Shown]:
    source, destination = File(), File()
    read = fetch = None
    shown = []
    for c in cycles:
        first = c.get("window", 0) * geometry.rows_per_window
        flags = sum((first + bit in source.nonzero) << bit for bit in range(geometry.rows_per_window))
        shown.append((0 if read is not None and c.get("hide") else read, fetch, flags))
        if c.get("read_en"):
            read = destination.rows.get(c["read_row"], 0)
        if c.get("fetch_en"):
            fetch = source.rows[c["fetch_row"]] if c["fetch_row"] in source.nonzero else 0
        if c.get("write_en"):
            destination.rows[c["write_row"]] = c["write_data"]
        if c.get("flag_en"):
            destination.flag(c["flag_row"], c["flag"])
        if c.get("load_en"):
            source.rows[c["load_row"]] = c["load_data"]
            source.flag(c["load_row"], c["load_data"] != 0)
        if c.get("clear"):
            destination = File()
        if c.get("swap"):
            source, destination = destination, File()
            read = fetch = None
    return shown


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "geometry",
    [
        geometry(activation_rows=128),
        geometry(pes=16, activation_rows=12, accumulator_bits=48),
        geometry(pes=64, activation_rows=3, accumulator_bits=16),
    ],
    ids=lambda g: f"{g.activation_rows} rows",
)
def test_every_port_at_random(geometry: EieGeometry, seed: int) -> None:
    cycles = some_cycles(geometry, 400, seed)
    assert rtl_activations(geometry, cycles) == expected(geometry, cycles)


def test_a_layer() -> None:
    """Zero before it is written; written and flagged in the destination, seen in the source behind a swap."""
    small = geometry(activation_rows=64)
    cycles: list[Cycle] = [
        {"read_en": 1, "read_row": 5, "fetch_en": 1, "fetch_row": 5},
        {"write_en": 1, "write_row": 5, "write_data": -70000, "flag_en": 1, "flag_row": 5, "flag": 1},
        {"read_en": 1, "read_row": 5, "fetch_en": 1, "fetch_row": 5},
        {"swap": 1},
        {"read_en": 1, "read_row": 5, "fetch_en": 1, "fetch_row": 5},
        {"load_en": 1, "load_row": 6, "load_data": -3},
        {"load_en": 1, "load_row": 5, "load_data": 0, "fetch_en": 1, "fetch_row": 6},
        {"fetch_en": 1, "fetch_row": 5},
        {"swap": 1},
        {"fetch_en": 1, "fetch_row": 6},
        {},
    ]
    assert rtl_activations(small, cycles) == [
        (None, None, 0),
        (0, 0, 0),
        (0, 0, 0),
        (-70000, 0, 0),
        (None, None, 1 << 5),
        (0, -70000, 1 << 5),
        (0, -70000, 3 << 5),
        (0, -3, 1 << 6),
        (0, 0, 1 << 6),
        (None, None, 0),
        (None, 0, 0),
    ]


def test_cleared_in_one_cycle() -> None:
    small = geometry(activation_rows=64)
    fill: list[Cycle] = [
        {"write_en": 1, "write_row": row, "write_data": -1, "flag_en": 1, "flag_row": row, "flag": 1}
        for row in range(64)
    ]
    read: list[Cycle] = [{"read_en": 1, "read_row": row} for row in range(64)]
    shown = rtl_activations(small, [*fill, *read, {"clear": 1}, *read, {"swap": 1}, {}])
    assert [data for data, _, _ in shown[65:129]] == [-1] * 64
    assert [data for data, _, _ in shown[130:194]] == [0] * 64
    assert shown[-1][2] == 0
