"""The file of a capture: operands and results by instruction and class, with the GPU, the driver and the date."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .instructions import INSTRUCTIONS, Instruction
from .operands import Bits, Instances

_OPERANDS = ("values", "codes", "b", "c", "selectors")


@dataclass
class Capture:
    """What one GPU computed."""

    gpu: str
    driver: str
    date: str
    arrays: dict[str, Any] = field(default_factory=dict)

    @property
    def results(self) -> int:
        return sum(array.size for name, array in self.arrays.items() if name.endswith("/d"))

    def add(self, instruction: Instruction, kind: str, instances: Instances, d: Bits) -> None:
        """`d` (count, rows, 8): the results of a class of operands."""
        key = f"{instruction.name}/{kind}"
        self.arrays |= {f"{key}/{name}": getattr(instances, name) for name in _OPERANDS}
        self.arrays[f"{key}/d"] = d

    def cases(self) -> Iterator[tuple[Instruction, str, Instances, Bits]]:
        """Instruction, class, operands and results."""
        for instruction in INSTRUCTIONS:
            keys = [key for key in self.arrays if key.startswith(f"{instruction.name}/") and key.endswith("/d")]
            for key in keys:
                _, kind, _ = key.split("/")
                operands = (self.arrays[f"{instruction.name}/{kind}/{name}"] for name in _OPERANDS)
                yield instruction, kind, Instances(*operands), self.arrays[key]

    def write(self, file: Path) -> None:
        np.savez_compressed(file, gpu=self.gpu, driver=self.driver, date=self.date, **self.arrays)

    @staticmethod
    def read(file: Path) -> Capture:
        with np.load(file) as data:
            arrays = {name: data[name] for name in data if "/" in name}
            return Capture(*(str(data[name]) for name in ("gpu", "driver", "date")), arrays)
