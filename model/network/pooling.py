"""The windows of torch's pooling modules and functions, and the checks that they are supported."""

from __future__ import annotations

from torch import nn

Pair = tuple[int, int]


def pair(value: object) -> Pair | None:
    """A size that torch takes as one number or as two; None where it is neither."""
    both = (value, value) if isinstance(value, int) else value
    if isinstance(both, tuple | list) and len(both) == 2 and all(isinstance(size, int) for size in both):
        return both[0], both[1]
    return None


def window(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> tuple[Pair, Pair, Pair]:
    """Kernel, stride and padding of a module of `zeroskip.model.network.fold.fold`."""
    return _numbers(f"a {type(module).__name__}", module.kernel_size, module.stride, module.padding)


def max_window(label: str, kernel: object, stride: object, padding: object, indices: object) -> tuple[Pair, Pair, Pair]:
    """Kernel, stride and padding of a max pooling, by the arguments of F.max_pool2d."""
    if indices:
        raise ValueError(f"{label} returns indices; supported: max pooling that returns values alone")
    return _numbers(label, kernel, stride, padding)


def average_window(
    label: str, kernel: object, stride: object, padding: object, ceil: object, include_padding: object, divisor: object
) -> tuple[Pair, Pair, Pair]:
    """Kernel, stride and padding of an average pooling, by the arguments of F.avg_pool2d."""
    for name, value, plain in (("ceil_mode", ceil, False), ("divisor_override", divisor, None)):
        if value != plain:
            raise ValueError(f"{label} is an average pooling with {name} = {value}; supported: {plain}")
    sizes = _numbers(label, kernel, stride, padding)
    if sizes[2] != (0, 0) and not include_padding:
        raise ValueError(
            f"{label} is an average pooling with padding and count_include_pad = {include_padding}; supported: True, "
            "which divides by the same number everywhere"
        )
    return sizes


def adaptive_window(label: str, what: str, output_size: object, size: tuple[int, ...] | None) -> Pair:
    """The kernel, and the stride, of an adaptive pooling of images of `size` (height, width), or None where that is not
    known. Raises ValueError unless all windows are of the same size and do not overlap."""
    both = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    if size is None or len(both) != 2:
        supported = "1" if what == "average" else "none"
        raise ValueError(
            f"{label} is an adaptive {what} pooling to {output_size}, which without samples of the input cannot be "
            f"compiled; supported then: {supported}"
        )
    wanted = [length if given is None else given for given, length in zip(both, size, strict=True)]
    if any(length % number for length, number in zip(size, wanted, strict=True)):
        raise ValueError(
            f"{label} is an adaptive {what} pooling of {size[0]} x {size[1]} to {wanted[0]} x {wanted[1]}; supported: "
            "sizes that divide those of the image"
        )
    return size[0] // wanted[0], size[1] // wanted[1]


def _numbers(label: str, kernel: object, stride: object, padding: object) -> tuple[Pair, Pair, Pair]:
    # An empty list is how torch's own functions say that the stride is the kernel.
    sizes = [size for size in (pair(kernel), pair(stride or kernel), pair(padding)) if size is not None]
    if len(sizes) < 3:
        raise ValueError(f"{label} takes its kernel, stride or padding from values; they must be numbers")
    return sizes[0], sizes[1], sizes[2]
