"""Refits the weights that pruning left, so that each layer comes near its outputs in the network before pruning.

Least squares as in He et al. (ICCV 2017, section 3.1) and AMC (section 3.4) for channels, here for any mask: what OBS
and SparseGPT (Frantar and Alistarh, ICML 2023, section 3) compute for weights that are removed one after another, this
solves for all removed weights at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zeroskip.model.network.modes import in_mode
from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.search.layers import padded

POINTS = 10
"""The number of positions per image that a convolution is fitted on, as in AMC's own code."""

RIDGE = 1e-2
"""The ridge penalty on the change of the weights, as a fraction of the mean square of an input."""

SAMPLES = 1_024
"""The largest number of samples used. All are in one batch, as each layer is fitted before the next one runs."""

VALUES = 1 << 22
"""Where the samples have more values than this, fewer are used, but at least LEAST_SAMPLES."""

LEAST_SAMPLES = 64

STEPS = 30
"""Steps of conjugate gradients, at most."""

ENOUGH = 1e-2
"""They stop where the residual is this fraction of the first."""

See = Callable[[str, nn.Linear | nn.Conv2d, Tensor], None]


class Refit:
    """Fits pruned copies of the network `original` to its outputs on `samples` (n, ...), layer by layer.

    In the order in which the network runs its layers, the change D of the kept weights W minimises
    |X (W + D) - X' W'|^2 + ridge |D|^2: X' and W' are the layer's inputs and weights in `original`, X its inputs in the
    pruned network, where the layers before are fitted already. Convolutions are fitted at POINTS random positions of
    each image. The ridge keeps weights that the samples do not determine. Biases do not change. A layer that runs more
    than once, or whose values are not finite, keeps its weights.
    """

    def __init__(self, original: nn.Module, samples: Tensor) -> None:
        size = max(1, math.prod(samples.shape[1:]))
        self._samples = samples[: min(SAMPLES, max(LEAST_SAMPLES, VALUES // size))]
        self._targets: dict[str, list[Tensor]] = {}

        def note(name: str, layer: nn.Linear | nn.Conv2d, given: Tensor) -> None:
            outputs = input_vectors(layer, given) @ matrices(layer, layer.weight).transpose(1, 2)
            self._targets.setdefault(name, []).append(outputs)

        run_layers(original, self._samples, note)

    def apply(self, pruned: nn.Module, masks: Mapping[str, Tensor]) -> None:
        """Fits `pruned`, in place: a copy of the original whose weights outside `masks` (by parameter name) are zero,
        and stay so."""

        def fit(name: str, layer: nn.Linear | nn.Conv2d, given: Tensor) -> None:
            if len(self._targets[name]) == 1:
                mask = masks.get(f"{name}.weight".lstrip("."), torch.ones_like(layer.weight, dtype=torch.bool))
                before, inputs = matrices(layer, layer.weight), input_vectors(layer, given)
                # In units of the largest input, no square overflows.
                unit = inputs.abs().amax().clamp(min=torch.finfo(inputs.dtype).tiny)
                change = _change(inputs / unit, before * unit, self._targets[name][0], matrices(layer, mask)) / unit
                if change.isfinite().all():
                    layer.weight.add_(change.reshape(layer.weight.shape))

        run_layers(pruned, self._samples, fit)


@torch.no_grad()
def run_layers(module: nn.Module, samples: Tensor, see: See) -> None:
    """Runs the module in evaluation mode; `see` gets each layer, and its input, before the layer runs."""

    def hook(name: str) -> Any:
        return lambda layer, given, named: see(name, layer, given[0] if given else named["input"])

    handles = [
        layer.register_forward_pre_hook(hook(name), with_kwargs=True) for name, layer in prunable_layers(module).items()
    ]
    try:
        with in_mode(module, training=False):
            if len(samples):
                module(samples.clone())
    finally:
        for handle in handles:
            handle.remove()


def matrices(layer: nn.Linear | nn.Conv2d, weight: Tensor) -> Tensor:
    """A weight, or its mask, as a matrix for each group of the layer: (groups, outputs, inputs)."""
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    return weight.reshape(groups, len(weight) // groups, -1)


def input_vectors(layer: nn.Linear | nn.Conv2d, given: Tensor) -> Tensor:
    """The input vectors of each group of a layer, (groups, vectors, inputs); for a convolution, those at POINTS random
    positions of each image: the same ones whenever there are as many."""
    if isinstance(layer, nn.Linear):
        return given.reshape(1, -1, given.shape[-1])
    around = padded(layer, given)
    kernel, stride, dilation = layer.kernel_size, layer.stride, layer.dilation
    height, width = (
        (size - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis, size in enumerate(around.shape[2:])
    )
    if height * width <= POINTS:
        position = torch.arange(height * width).repeat(len(given), 1)
    else:
        generator = torch.Generator().manual_seed(0)
        position = torch.randint(height * width, (len(given), POINTS), generator=generator)
    rows, columns = (
        ((first * stride[axis])[..., None] + dilation[axis] * torch.arange(kernel[axis])).to(given.device)
        for axis, first in enumerate((position // width, position % width))
    )
    image = torch.arange(len(given), device=given.device)[:, None, None, None]
    patches = around[image, :, rows[..., :, None], columns[..., None, :]]
    # (images, positions, height, width, channels)
    vectors = patches.permute(0, 1, 4, 2, 3).reshape(-1, layer.groups, layer.weight[0].numel())
    return vectors.transpose(0, 1)


def _change(inputs: Tensor, weights: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """D of Refit, (groups, outputs, inputs), by conjugate gradients on the normal equations of all outputs at once,
    each within the weights that it keeps."""
    gram = (inputs.transpose(1, 2) @ inputs).double()
    ridge = RIDGE * gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    residual = ((targets - inputs @ weights.transpose(1, 2)).transpose(1, 2) @ inputs).double() * mask
    change = torch.zeros_like(residual)
    # The diagonal of the system, as the preconditioner.
    scale = 1 / (gram.diagonal(dim1=1, dim2=2)[:, None] + ridge).clamp(min=torch.finfo(gram.dtype).tiny)
    direction = residual * scale
    norm = (residual * direction).sum(2, keepdim=True)
    enough = ENOUGH**2 * norm
    for _ in range(STEPS):
        product = (direction @ gram + ridge * direction) * mask
        curvature = (direction * product).sum(2, keepdim=True)
        step = torch.where(curvature > 0, norm / curvature, 0.0)
        change += step * direction
        residual -= step * product
        scaled = residual * scale
        before, norm = norm, (residual * scaled).sum(2, keepdim=True)
        if (norm <= enough).all():
            break
        direction = scaled + torch.where(before > 0, norm / before, 0.0) * direction
    return change
