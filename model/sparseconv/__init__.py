"""Sparse convolution on point clouds: fast on a CPU, deterministic, an error instead of a wrong sum.

For users it is `zeroskip.sparseconv`. Names, arguments and defaults follow torchsparse 2.1 (batch index first).

- `tensor`: `SparseTensor(feats, coords, stride=1, spatial_range=None)`. `x.with_feats(feats)` is the same voxels with
  other features: layers that keep the voxels use it. `x.feats`, `x.coords`, `x.stride`, `x.spatial_range`,
  `x.dense()`; `require_same_voxels(x, y)`.
- `functional`: `conv3d(...)` with torchsparse's arguments, and `conv(...)` for 1 to 4 axes, both with gradients of any
  order. They return a tensor that shares the caches of their input.
- `maps`: `submanifold_map`, `strided_map`, `generative_map` return a `KernelMap`: `inputs`, `outputs` (pairs,) int32 by
  element and then by output, `starts`, `pairs(element)`, `transposed`. Pooling uses them: `find_map(x, ...)` in
  `functional` takes one from the tensor's cache, or makes it.
- `kernel`: the order of a kernel's elements, and weights of torchsparse, MinkowskiEngine, spconv and dense layers.
- `keys`: `KeyLayout`, coordinates as sortable 64-bit keys; `index_of(coords)`, `unique_coords(coords)`.
- `nn`: layers; `backbones`: networks of torchsparse; `settings`: its switches, of which the downsample mode has effect.
- `spconv`: tensor and layers with spconv's names; `conv_on(x, weight, kmap)` in `functional` convolves on a known map.
- `weights`: weights of networks that were trained with other libraries.
- `pooling`: `max_pool`, `avg_pool` and global pooling; `voxels`: points to voxels and back; `operators`: `cat`,
  `spcrop`, `to_dense`, `from_dense`; `lookup`: which row holds a coordinate; `quantize`, `collate`: from point clouds
  to batches.
- `int8`: exact requantisation; `int8_layers`, `int8_network`: layers in int8, and from a chain of float layers to them;
  `vectors`, `vectors_file`: all numbers of such a network, for hardware to be compared with.
- `execution`: the ways to execute; `with execution("reference"): ...` chooses one. On a GPU it is `triton_gemm`.
  `grouping`: which elements are multiplied together. `tuner`: `with tuning(): network(x)` finds the fastest for each
  layer and keeps it on disk.
"""
