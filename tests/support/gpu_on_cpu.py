"""A GPU that is none: tensors that say that they are on the device "gpu:0", and are on the CPU.

As CUDA does, operations refuse tensors of both devices at once, and numpy those of the GPU. So machines without a GPU
test that all is moved that must be moved. The kernels, and how they round, are those of the CPU: results must be equal.
To be imported in a process of its own (`tests/api/test_device.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

GPU = "gpu:0"

_aten: Any = torch.ops.aten

_INDEXING = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default}
"""The operations whose index tensors may be on the CPU."""

_COPIES = {_aten.copy_.default, _aten._to_copy.default}


class _Seeds(_DummyBackendModule):  # type: ignore[misc, valid-type]
    """What `torch.manual_seed` calls: the GPU has no random numbers of its own."""

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass


# Before the first backward pass of this process.
_setup_privateuseone_for_python_backend("gpu", backend_module=_Seeds())


class OnGpu(Tensor):
    """A tensor on the GPU; `inner` has its values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> OnGpu:
        made: OnGpu = Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device=GPU
        )
        made.inner = inner
        return made

    # With these two, nn.Module.to swaps a parameter for one of this class.
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], context: None, size: Any, stride: Any) -> OnGpu:
        return OnGpu(inner["inner"])

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnGpu({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Gpu(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    asked = kwargs.get("device")
    if func not in _COPIES:
        _require_one_device(func, args, kwargs)
    inside = kwargs if asked is None else {**kwargs, "device": torch.device("cpu")}
    result = func(*tree_map_only(OnGpu, _values, args), **tree_map_only(OnGpu, _values, inside))
    first = func._schema.arguments[0].alias_info if func._schema.arguments else None
    if first is not None and first.is_write and isinstance(result, Tensor):
        # An operation in place.
        return args[0]
    if asked is None:
        given = args[:1] if func is _aten._to_copy.default else (args, kwargs)
        there = any(isinstance(one, OnGpu) for one in tree_flatten(given)[0])
    else:
        there = torch.device(asked).type == "gpu"
    return tree_map_only(Tensor, OnGpu, result) if there else result


def _require_one_device(func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Raises RuntimeError, as torch does. Tensors of one number may be on the CPU."""
    asked = [args[0], *args[2:]] if func in _INDEXING else (args, kwargs)
    tensors = [one for one in tree_flatten(asked)[0] if isinstance(one, Tensor)]
    elsewhere = [one for one in tensors if not isinstance(one, OnGpu) and one.dim() > 0]
    if elsewhere and any(isinstance(one, OnGpu) for one in tensors):
        raise RuntimeError(f"Expected all tensors to be on the same device, but found {GPU} and cpu, in {func}")


def _values(tensor: OnGpu) -> Tensor:
    return tensor.inner


@contextmanager
def gpu_on_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Within the block there is this GPU; gives the name of its device."""
    monkeypatch.setattr("zeroskip.model.device.require_device", lambda device: None)
    with _Gpu():
        yield GPU
