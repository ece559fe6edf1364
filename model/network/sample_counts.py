"""The number of samples, as forward() sees it while it is traced: it remembers what it is compared with."""

from __future__ import annotations

from typing import Any

import torch


class SampleCount(int):
    """A number of samples; the numbers from 1 on with which forward() compares it, or by which it divides it, are added
    to `compared`. Other numbers of samples are no such numbers: they grow with it."""

    compared: set[int]

    def _meets(self, other: Any) -> None:
        if isinstance(other, int) and not isinstance(other, SampleCount) and other >= 1:
            self.compared.add(int(other))

    def __eq__(self, other: object) -> bool:
        self._meets(other)
        return int.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        self._meets(other)
        return int.__ne__(self, other)

    def __lt__(self, other: int) -> bool:
        self._meets(other)
        return int.__lt__(self, other)

    def __le__(self, other: int) -> bool:
        self._meets(other)
        return int.__le__(self, other)

    def __gt__(self, other: int) -> bool:
        self._meets(other)
        return int.__gt__(self, other)

    def __ge__(self, other: int) -> bool:
        self._meets(other)
        return int.__ge__(self, other)

    def __mod__(self, other: int) -> int:
        self._meets(other)
        return int.__mod__(self, other)

    def __floordiv__(self, other: int) -> int:
        self._meets(other)
        return int.__floordiv__(self, other)

    __hash__ = int.__hash__


def counted(shape: torch.Size, compared: set[int]) -> torch.Size:
    """The shape of a tensor (samples, ...), whose first number is a SampleCount."""
    if not shape:
        return shape
    count = SampleCount(shape[0])
    count.compared = compared
    return torch.Size([count, *shape[1:]])
