"""Max, average and adaptive poolings of images and of sequences."""

from __future__ import annotations

from typing import Any

from torch import fx

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.pooling import Pair, adaptive_window, average_window, max_window, pair
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.steps import AveragePoolStep, MaxPoolStep, NetworkStep


def max_pool(reading: Reading, node: fx.Node, *arguments: object, line: bool = False) -> MaxPoolStep:
    reading.require_dimensions(node, "a max pooling", 3 if line else 4)
    kernel, stride, padding, dilation, ceil, indices = arguments
    apart = window_pair(dilation, line=line, still=1)
    if apart is None or not isinstance(ceil, bool):
        raise ValueError(
            f"{label_of(node)} is a max pooling with dilation = {dilation} and ceil_mode = {ceil}; supported: "
            "numbers, and True or False"
        )
    sizes = _sizes(kernel, stride, padding, line=line)
    window = max_window(label_of(node), *sizes, indices)
    return MaxPoolStep(**reading.about(node, images=True), **_named(window), dilation=apart, ceil=ceil)


def average_pool(reading: Reading, node: fx.Node, *arguments: object, line: bool = False) -> AveragePoolStep:
    reading.require_dimensions(node, "an average pooling", 3 if line else 4)
    kernel, stride, padding, ceil, *rest = arguments
    sizes = _sizes(kernel, stride, padding, line=line)
    ceil = ceil and not _rounds_down(reading, node, *sizes)
    window = average_window(label_of(node), *sizes, ceil, *rest)
    return AveragePoolStep(**reading.about(node, images=True), **_named(window))


def _rounds_down(reading: Reading, node: fx.Node, kernel: object, stride: object, padding: object) -> bool:
    """Whether ceil_mode is known to give the same size as without it: then no window reaches over the edge."""
    before, after = reading.shape(reading.current), reading.shape(node)
    sizes = pair(kernel), pair(stride or kernel), pair(padding)
    if before is None or after is None or None in sizes:
        return False
    line = (1,) if len(before) == 3 else ()
    return (*line, *after[2:]) == tuple(
        (size + 2 * around - window) // step + 1
        for size, window, step, around in zip((*line, *before[2:]), *sizes, strict=True)  # type: ignore[arg-type]
    )


def adaptive(
    reading: Reading,
    node: fx.Node,
    output_size: object,
    kind: type[AveragePoolStep] | type[MaxPoolStep],
    *,
    line: bool = False,
) -> NetworkStep | None:
    """An adaptive pooling: over the whole image, or with a window that is the same everywhere."""
    reading.require_dimensions(node, "a pooling", 3 if line else 4)
    shape = reading.shape(reading.current)
    label = label_of(node)
    size = None if shape is None else (1, *shape[2:])[-2:]
    wanted = window_pair(output_size, line=line, still=1) or output_size
    if kind is AveragePoolStep and pair(wanted) == (1, 1):
        return AveragePoolStep(**reading.about(node, images=True))
    what = "average" if kind is AveragePoolStep else "max"
    window = adaptive_window(label, what, wanted, size)
    if window == (1, 1):
        return None
    return kind(**reading.about(node, images=True), kernel=window, stride=window, padding=(0, 0))


def window_pair(value: object, *, line: bool, still: int) -> Pair | None:
    """A size (height, width) that torch takes as one number or as two; of a `line`, whose height has the size `still`,
    as one."""
    if not line:
        return pair(value)
    across = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
    return (still, across) if isinstance(across, int) else None


def _sizes(kernel: object, stride: object, padding: object, *, line: bool) -> tuple[object, object, object]:
    """Those of a window over images, or over a `line`, which is a row of an image."""
    if not line:
        return kernel, stride, padding
    across = stride or kernel
    return (
        window_pair(kernel, line=True, still=1),
        window_pair(across, line=True, still=1),
        window_pair(padding, line=True, still=0),
    )


def _named(window: tuple[Pair, Pair, Pair]) -> dict[str, Any]:
    return dict(zip(("kernel", "stride", "padding"), window, strict=True))
