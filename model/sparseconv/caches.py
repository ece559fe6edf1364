"""What the tensors of one network share, so that each kernel map is found once."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from zeroskip.model.sparseconv.maps import KernelMap


class TensorCache:
    """What the tensors of one network share.

    `cmaps`: coordinates and spatial range by tensor stride. `kmaps`: the kernel maps by (tensor stride of the input,
    kernel size, stride, dilation), the newest last; a map is used only for the coordinates that it was made for.
    `hashmaps` stays empty (maps are found by sorting); networks for torchsparse clear it.
    """

    def __init__(self) -> None:
        self.cmaps: dict[tuple[int, ...], tuple[Tensor, tuple[int, ...] | None]] = {}
        self.kmaps: dict[tuple[tuple[int, ...], ...], list[KernelMap]] = {}
        self.hashmaps: dict[tuple[int, ...], Any] = {}


class TensorCacheMode(Enum):
    """Whether each new tensor starts a cache of its own, or all share one until it is cleared."""

    SEPARATE_TENSOR_CACHE = 0
    GLOBAL_TENSOR_CACHE = 1


_mode = TensorCacheMode.SEPARATE_TENSOR_CACHE
_shared: TensorCache | None = None


def set_tensor_cache_mode(mode: TensorCacheMode) -> None:
    """Sets where tensors that are made from now on keep their maps."""
    global _mode
    if not isinstance(mode, TensorCacheMode):
        raise TypeError(f"mode must be a TensorCacheMode, not {type(mode).__name__}")
    _mode = mode


def get_tensor_cache_mode() -> TensorCacheMode:
    """Where new tensors keep their maps."""
    return _mode


def get_global_tensor_cache() -> TensorCache | None:
    """The shared cache, or None."""
    return _shared


def set_global_tensor_cache(tensor_cache: TensorCache | None) -> None:
    """Sets the shared cache."""
    global _shared
    _shared = tensor_cache


def clear_global_tensor_cache() -> None:
    """Drops the shared cache. It keeps every map until then: call this after each step."""
    set_global_tensor_cache(None)


def new_cache() -> TensorCache:
    """The cache of a new tensor."""
    global _shared
    if _mode is TensorCacheMode.SEPARATE_TENSOR_CACHE:
        return TensorCache()
    if _shared is None:
        _shared = TensorCache()
    return _shared
