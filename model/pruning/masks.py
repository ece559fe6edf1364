"""Masks of the weights that are kept, and a context that applies them during training."""

from collections.abc import Mapping
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.hooks import RemovableHandle


def prunable_layers(module: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """The Linear and Conv2d layers by name, in the order in which `module` holds them."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}


def prunable_weights(module: nn.Module) -> dict[str, Tensor]:
    """The weights of these layers, (outputs, ...), by parameter name ("0.weight")."""
    return {f"{name}.weight".lstrip("."): layer.weight for name, layer in prunable_layers(module).items()}


def keep_largest(scores: Tensor, count: int) -> Tensor:
    """A bool mask, in the shape of `scores`, of the `count` largest scores. Of equal scores the earlier ones are
    kept."""
    if not 0 <= count <= scores.numel():
        raise ValueError(f"count must be 0 to {scores.numel()}, not {count}")
    if torch.isnan(scores).any():
        raise ValueError("scores must be numbers, but some are NaN")
    order = torch.sort(scores.flatten(), descending=True, stable=True).indices
    mask = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    mask[order[:count]] = True
    return mask.reshape(scores.shape)


def kept_count(size: int, density: float) -> int:
    """The number of weights that a density keeps of `size`, rounded, at least 1."""
    if not 0 < density <= 1:
        raise ValueError(f"density must be above 0 and at most 1, not {density}")
    return max(1, round(size * density))


def allocate_per_layer(scores: Mapping[str, Tensor], densities: Mapping[str, float]) -> dict[str, Tensor]:
    """A mask for every tensor of scores, each at a density of its own."""
    if scores.keys() != densities.keys():
        raise ValueError(f"densities must name {sorted(scores)}, not {sorted(densities)}")
    return {name: keep_largest(values, kept_count(values.numel(), densities[name])) for name, values in scores.items()}


def allocate_globally(scores: Mapping[str, Tensor], density: float) -> dict[str, Tensor]:
    """A mask for every tensor of scores. All scores compete for one overall density."""
    together = torch.cat([values.flatten() for values in scores.values()])
    mask = keep_largest(together, kept_count(together.numel(), density))
    masks = mask.split([values.numel() for values in scores.values()])
    return {name: flat.reshape(scores[name].shape) for name, flat in zip(scores, masks, strict=True)}


class Masks:
    """Keeps masked weights of a module at zero within the `with` block, by setting them to zero after every step of any
    optimizer.

    `masks` has bool tensors by parameter name ("0.weight"), in the shape of the parameter: True is kept. The module
    gets no hooks or attributes; after the block it is an ordinary module whose masked weights are zero.
    """

    def __init__(self, module: nn.Module, masks: Mapping[str, Tensor]):
        parameters = dict(module.named_parameters())
        for name, mask in masks.items():
            if name not in parameters:
                raise ValueError(f"masks must name parameters of the module, not '{name}'")
            if mask.dtype != torch.bool or mask.shape != parameters[name].shape:
                raise ValueError(
                    f"the mask of '{name}' must be bool {tuple(parameters[name].shape)}, "
                    f"not {mask.dtype} {tuple(mask.shape)}"
                )
        self._masked = [(parameters[name], ~mask) for name, mask in masks.items()]
        self._hook: RemovableHandle | None = None

    def apply(self) -> None:
        """Sets the masked weights to zero."""
        with torch.no_grad():
            for parameter, masked in self._masked:
                # A product would not do: zero times NaN or infinity is not zero, and zero times -1 is -0.
                parameter.masked_fill_(masked, 0)

    def __enter__(self) -> "Masks":
        self.apply()
        self._hook = register_optimizer_step_post_hook(lambda *_: self.apply())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._hook is not None
        self._hook.remove()
        self._hook = None
        self.apply()
