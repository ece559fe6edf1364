"""spconv's tensor, and containers of layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from zeroskip.model.sparseconv.caches import TensorCache
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.operators import from_dense
from zeroskip.model.sparseconv.tensor import SparseTensor, require_same_voxels
from zeroskip.model.sparseconv.tuples import make_ntuple


class ConvAlgo(Enum):
    """Names of spconv's algorithms; layers take one, and it changes nothing here."""

    Native = 0
    MaskImplicitGemm = 1
    MaskSplitImplicitGemm = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptMap:
    """What a layer leaves under its `indice_key`: its map, and the spatial shape of its input."""

    kmap: KernelMap
    spatial_shape: list[int]


class SparseConvTensor:
    """Features at voxels, as spconv has them.

    Args:
        features: (N, channels).
        indices: (N, 1 + axes), the batch index first, from 0 to below `batch_size` and `spatial_shape`; int32, other
            integers are converted.
        spatial_shape: the extents.
        batch_size: the number of batches.
        grid, voxel_num, benchmark, and others of spconv: change nothing here.
        indice_dict: maps by the names of layers, for inverse layers.

    Raises as `SparseTensor` does.
    """

    def __init__(
        self,
        features: Tensor,
        indices: Tensor,
        spatial_shape: Sequence[int],
        batch_size: int,
        grid: Tensor | None = None,
        voxel_num: Tensor | None = None,
        indice_dict: dict[str, KeptMap] | None = None,
        benchmark: bool = False,
        **others: Any,
    ) -> None:
        axes = indices.shape[1] - 1 if indices.dim() == 2 else 0
        self.spatial_shape = list(make_ntuple(spatial_shape, axes, "spatial_shape", least=0))
        self.batch_size = make_ntuple(batch_size, 1, "batch_size", least=0)[0]
        checked = SparseTensor(features, indices, 1, (self.batch_size, *self.spatial_shape))
        self._features, self._indices = features, checked.coords
        self.indice_dict = {} if indice_dict is None else indice_dict
        self.grid, self.voxel_num, self.benchmark = grid, voxel_num, benchmark
        self._caches = TensorCache()

    @property
    def features(self) -> Tensor:
        """Features (N, channels)."""
        return self._features

    @features.setter
    def features(self, features: Tensor) -> None:
        raise ValueError("features cannot be set: use x = x.replace_feature(features)")

    @property
    def indices(self) -> Tensor:
        """(N, 1 + axes) int32, the batch index first. May be set to others; the next layer checks them."""
        return self._indices

    @indices.setter
    def indices(self, indices: Tensor) -> None:
        columns = 1 + len(self.spatial_shape)
        if indices.is_floating_point() or indices.dim() != 2 or indices.shape[1] != columns:
            raise ValueError(
                f"indices must be integers (N, {columns}), the batch index first, not {indices.dtype} of shape "
                f"{tuple(indices.shape)}"
            )
        self._indices = indices.contiguous()
        self._caches = TensorCache()

    @property
    def spatial_size(self) -> int:
        """The number of places in one batch."""
        return prod(self.spatial_shape)

    @property
    def sparity(self) -> float:
        """The share of places that are voxels; spconv spells it so."""
        return len(self.indices) / (self.spatial_size * self.batch_size)

    def voxels(self) -> SparseTensor:
        """The same as a `SparseTensor`, with the caches of this one. Raises as `SparseTensor` does."""
        tensor = SparseTensor(self._features, self.indices, 1, (self.batch_size, *self.spatial_shape))
        tensor._caches = self._caches
        return tensor

    def like(self, voxels: SparseTensor, indice_dict: dict[str, KeptMap]) -> SparseConvTensor:
        """The result of a layer on this tensor."""
        assert voxels.spatial_range is not None
        result = self._copy()
        result._features, result._indices = voxels.feats, voxels.coords
        result.spatial_shape = list(voxels.spatial_range[1:])
        result.indice_dict = indice_dict
        return result

    def keeping(self, key: str | None, kmap: KernelMap) -> dict[str, KeptMap]:
        """The maps by name, with one more. Raises `ValueError` for a name that is known."""
        if key is None:
            return self.indice_dict
        if key in self.indice_dict:
            raise ValueError(f"indice_key {key!r} must be new: another layer of this network has it")
        return {**self.indice_dict, key: KeptMap(kmap=kmap, spatial_shape=self.spatial_shape)}

    def find_indice_pair(self, key: str | None) -> KeptMap | None:
        """What the layer of this name left."""
        return None if key is None else self.indice_dict.get(key)

    def replace_feature(self, feature: Tensor) -> SparseConvTensor:
        """The same voxels with other features.

        With more or fewer rows, as networks that join several levels have them, set `indices` next: until then layers
        refuse the tensor.
        """
        if feature.dim() != 2:
            raise ValueError(f"features must be (N, channels), not {tuple(feature.shape)}")
        result = self._copy()
        result._features = feature
        return result

    def select_by_index(self, valid_indices: Tensor) -> SparseConvTensor:
        """The voxels of these rows, or of a mask (N,), without the maps by name."""
        rows = valid_indices
        return SparseConvTensor(self._features[rows], self.indices[rows], self.spatial_shape, self.batch_size)

    def shadow_copy(self) -> SparseConvTensor:
        """A tensor with the same features, voxels and maps."""
        return self.replace_feature(self._features)

    def minus(self) -> SparseConvTensor:
        """The negated features."""
        return self.replace_feature(-self._features)

    def dense(self, channels_first: bool = True) -> Tensor:
        """(batches, channels, *spatial_shape), or with the channels last: zeros where no voxel is."""
        dense = self.voxels().dense()
        return dense.movedim(-1, 1).contiguous() if channels_first else dense

    @classmethod
    def from_dense(cls, x: Tensor) -> SparseConvTensor:
        """The voxels of (batches, *spatial_shape, channels) with a value other than zero in any channel."""
        voxels = from_dense(x)
        return cls(voxels.feats, voxels.coords, x.shape[1:-1], x.shape[0])

    def _copy(self) -> SparseConvTensor:
        result = object.__new__(SparseConvTensor)
        result.__dict__.update(self.__dict__)
        return result

    def __add__(self, other: SparseConvTensor | Tensor) -> SparseConvTensor:
        """Sums features. Raises `ValueError` for a tensor with other voxels or channels."""
        if isinstance(other, Tensor):
            return self.replace_feature(self._features + other)
        require_same_voxels(self.voxels(), other.voxels())
        if self._features.shape != other.features.shape:
            raise ValueError(
                f"tensors that are added must have as many channels, not {self._features.shape[1]} and "
                f"{other.features.shape[1]}"
            )
        return self.replace_feature(self._features + other.features)

    __radd__ = __add__

    def __repr__(self) -> str:
        return (
            f"SparseConvTensor({len(self.indices)} voxels, {self._features.shape[1]} channels, shape "
            f"{self.spatial_shape}, {self.batch_size} batches)"
        )


class SparseModule(nn.Module):
    """Modules of this class take the whole tensor in a `SparseSequential`, others its features."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name


def is_spconv_module(module: nn.Module) -> bool:
    """Whether a module takes the whole tensor; others take its features."""
    return isinstance(module, SparseModule | SparseBatchNorm | SparseReLU)


class SparseSequential(SparseModule):
    """Layers one after the other: given in order, in one `OrderedDict`, or by name."""

    def __init__(self, *args: nn.Module | OrderedDict[str, nn.Module], **kwargs: nn.Module) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            kwargs = {**args[0], **kwargs}
            args = ()
        for number, module in enumerate(args):
            assert isinstance(module, nn.Module)
            self.add_module(str(number), module)
        for name, module in kwargs.items():
            self.add(module, name)

    def __getitem__(self, idx: int) -> nn.Module:
        return list(self._modules.values())[idx]  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self._modules)

    def add(self, module: nn.Module, name: str | None = None) -> None:
        """Adds a layer at the end. Raises `KeyError` for a name that is known."""
        name = str(len(self._modules)) if name is None else name
        if name in self._modules:
            raise KeyError(f"there is a layer {name!r} already")
        self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        """Runs the layers: sparse ones on the tensor, others on its features."""
        for module in self._modules.values():
            assert module is not None
            if is_spconv_module(module) or not isinstance(input, SparseConvTensor):
                input = module(input)
            elif len(input.indices):
                input = input.replace_feature(module(input.features))
        return input


class SparseBatchNorm(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` of the features."""

    def forward(self, input: Any) -> Any:
        """The same voxels with normalised features."""
        return _on_features(super().forward, input)


class SparseReLU(nn.ReLU):
    """`torch.nn.ReLU` of the features."""

    def forward(self, input: Any) -> Any:
        """The same voxels with activated features."""
        return _on_features(super().forward, input)


class SparseIdentity(nn.Identity):
    """Gives back what it gets."""


class Identity(nn.Identity):
    """Gives back what it gets."""

    def input_spatial_size(self, out_size: Any) -> Any:
        """The size itself."""
        return out_size


class ToDense(SparseModule):
    """`SparseConvTensor.dense()` as a layer."""

    def forward(self, x: SparseConvTensor) -> Tensor:
        """(batches, channels, *spatial_shape)."""
        return x.dense()


class RemoveGrid(SparseModule):
    """Drops the tensor's `grid`, which nothing here uses."""

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """The same tensor."""
        x.grid = None
        return x


def _on_features(function: Any, input: Any) -> Any:
    if isinstance(input, SparseConvTensor):
        return input.replace_feature(function(input.features))
    assert isinstance(input, torch.Tensor)
    return function(input)
