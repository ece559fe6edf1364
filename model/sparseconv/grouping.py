"""Groups of a kernel's elements that are multiplied together: TorchSparse's matrix multiplication grouping.

Each element multiplies its own gathered rows. Several elements of similar sizes may be one batched product (bmm), with
each member padded to the largest: fewer, larger products for more multiplications. Which way is faster depends on the
device and on the sizes; on a CPU grouping pays for small maps only.

Source: Tang et al., "TorchSparse: Efficient Point Cloud Inference Engine", MLSys 2022, section 4.2; the adaptive rule
is that of torchsparse's `group_strategy_generation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GROUPINGS = ("separate", "symmetric", "fixed", "adaptive", "padded")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Elements whose products are computed together: as one padded batched product, or one by one."""

    elements: tuple[int, ...]
    batched: bool


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """How the elements of a kernel are grouped.

    - "separate": every element by itself.
    - "symmetric": an element and its mirror image, which have equal sizes in submanifold layers: no padding.
    - "fixed": submanifold layers in two groups beside the centre: the outer sixth of the elements on both sides (in the
      order of the weights: 0 to 3 and 23 to 26 of 27), and the others; layers of other kinds in one group.
    - "adaptive": mirror images beside each other, from the outermost to the centre; a group ends where the smallest
      map would be less than 1 - `epsilon` of the largest; groups whose largest map has less than `mm_thresh` pairs are
      batched, the others are not.
    - "padded": all in one batched product.
    """

    kind: str = "adaptive"
    epsilon: float = 0.3
    mm_thresh: int = 5000

    def __post_init__(self) -> None:
        if self.kind not in GROUPINGS:
            raise ValueError(f"grouping must be one of {', '.join(GROUPINGS)}, not {self.kind!r}")
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon must be from 0 to 1, not {self.epsilon}")
        if self.mm_thresh < 0:
            raise ValueError(f"mm_thresh must not be negative, not {self.mm_thresh}")

    def groups(self, sizes: Sequence[int], symmetric: bool) -> list[Group]:
        """The groups for maps of these sizes, one an element; `symmetric` for submanifold layers of odd size, whose
        centre needs no gathering and is in no group. Elements without pairs are in no group either."""
        volume = len(sizes)
        centre = volume // 2 if symmetric else None
        order = [element for element in _mirrored(volume) if element != centre and sizes[element]]
        if self.kind == "separate":
            return [Group(elements=(element,), batched=False) for element in order]
        if self.kind == "symmetric":
            pairs = {element: min(element, volume - 1 - element) if symmetric else element for element in order}
            return _batched(order, pairs)
        if self.kind == "padded":
            return _batched(order, dict.fromkeys(order, 0))
        if self.kind == "fixed":
            outer = {element: int(symmetric and min(element, volume - 1 - element) < volume // 6) for element in order}
            return _batched(order, outer)
        return self._adaptive(order, sizes)

    def _adaptive(self, order: list[int], sizes: Sequence[int]) -> list[Group]:
        parts: list[list[int]] = []
        for element in order:
            together = [sizes[other] for other in (*parts[-1], element)] if parts else []
            if together and 1 - min(together) / max(together) <= self.epsilon:
                parts[-1].append(element)
            else:
                parts.append([element])
        return [
            Group(
                elements=tuple(part),
                batched=len(part) > 1 and max(sizes[element] for element in part) < self.mm_thresh,
            )
            for part in parts
        ]


def _mirrored(volume: int) -> list[int]:
    """0, volume - 1, 1, volume - 2, ...: mirror images beside each other, the centre last."""
    return [element for low in range((volume + 1) // 2) for element in dict.fromkeys((low, volume - 1 - low))]


def _batched(order: list[int], label: dict[int, int]) -> list[Group]:
    """Elements with equal labels as batched groups; one by itself is not batched."""
    parts: dict[int, list[int]] = {}
    for element in order:
        parts.setdefault(label[element], []).append(element)
    return [Group(elements=tuple(part), batched=len(part) > 1) for part in parts.values()]


def padding_waste(groups: Sequence[Group], sizes: Sequence[int]) -> float:
    """Multiplied rows of padding as a fraction of the rows that count."""
    rows = sum(sizes[element] for group in groups for element in group.elements)
    padded = sum(
        len(group.elements) * max(sizes[element] for element in group.elements) for group in groups if group.batched
    )
    batched = sum(sizes[element] for group in groups if group.batched for element in group.elements)
    return (padded - batched) / rows if rows else 0.0
