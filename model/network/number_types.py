"""The number types of a network's parameters: float32, and those that are converted to it. All others are refused by
name, as their values are not weights: int8 codes need a scale, for example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zeroskip.model.warned import warn

CONVERTED = (torch.float16, torch.bfloat16, torch.float64)
"""Converted to float32, which holds every value of the first two exactly."""

RULE = "must be float32 (or float16, bfloat16, float64, which are converted)"
_REMEDIES = {
    torch.int8: "; these are quantised codes: multiply them by their scales first (dequantise)",
    torch.uint8: "; these are quantised codes: multiply them by their scales first (dequantise)",
}


def float_network(module: nn.Module) -> nn.Module:
    """The network itself, all its floating-point parameters and buffers float32 on the CPU; warns once of what was
    converted. Buffers of whole numbers (num_batches_tracked) stay as they are. Raises ValueError as `require_numbers`
    does."""
    _tell("the network", require_numbers(module))
    return module.to("cpu").float()


def require_numbers(module: nn.Module) -> dict[str, torch.dtype]:
    """The parameters and buffers that are to be converted, by name. Raises ValueError naming a layer that is quantised,
    or a parameter that has no values or another type."""
    for name, layer in module.named_modules():
        kind = type(layer)
        if kind.__module__.startswith(("torch.ao.", "torchao.")):
            raise ValueError(
                f"layer '{name}' must be a layer of floating-point numbers, not {kind.__module__}.{kind.__name__}: "
                "give the network as it was before quantisation"
            )
    converted: dict[str, torch.dtype] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        _require_type(f"parameter '{name}'", name, parameter, converted)
    for name, value in module.named_buffers(remove_duplicate=False):
        if value.is_meta or value.is_quantized or not _whole(value):
            _require_type(f"buffer '{name}'", name, value, converted)
    return converted


def require_finite(module: nn.Module) -> None:
    """Raises ValueError naming a parameter, or a statistic of a normalisation, that holds NaN or infinity."""
    entries: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._NormBase):
            entries |= {f"{name}.{own}".lstrip("."): value for own, value in layer.named_buffers(recurse=False)}
    for name, value in entries.items():
        if not value.isfinite().all():
            raise ValueError(
                f"'{name}' of the network must be finite in float32, but holds NaN, infinity or numbers beyond 3.4e38"
            )


def float_state(where: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, which errors call `where`, as the entries `expected` of a network take them: numbers for
    floating-point entries as float32, with one warning of what was converted.

    Raises ValueError naming the tensor where its type is none that is taken, or the entry is of whole numbers and the
    tensor is not.
    """
    converted: dict[str, torch.dtype] = {}
    made = {}
    for name, value in state.items():
        if name not in expected or not _whole(expected[name]):
            _require_type(f"{where}: {name}", name, value, converted)
            made[name] = value.float()
            continue
        if not _whole(value):
            raise ValueError(f"{where}: {name} must be {expected[name].dtype}, not {value.dtype}")
        made[name] = value
    _tell(where, converted)
    return made


def _whole(value: Tensor) -> bool:
    return not value.is_floating_point() and not value.is_complex()


def _require_type(field: str, name: str, value: Any, converted: dict[str, torch.dtype]) -> None:
    """Raises ValueError unless the values are of a type that is taken; notes in `converted` those that are not
    float32."""
    if is_lazy(value):
        raise ValueError(f"{field} must have values, but its layer is lazy: run the network once on a sample first")
    if value.is_meta:
        raise ValueError(
            f"{field} must have values, but is on the device 'meta': make the network on the CPU, or load its weights "
            "with load_state_dict(..., assign=True)"
        )
    if value.layout != torch.strided:
        raise ValueError(f"{field} must be a dense tensor, not {value.layout}; use to_dense()")
    kind = value.dtype
    if value.is_quantized or (kind != torch.float32 and kind not in CONVERTED):
        raise ValueError(f"{field} {RULE}, not {_short(kind)}{_REMEDIES.get(kind, '')}")
    if kind != torch.float32:
        converted[name] = kind


def _tell(where: str, converted: Mapping[str, torch.dtype]) -> None:
    if not converted:
        return
    first, more = next(iter(converted)), len(converted) - 1
    types = ", ".join(sorted({_short(kind) for kind in converted.values()}))
    names = f"{first} and {more} more" if more else first
    warn(f"{where}: {types} is converted to float32 ({names})", stacklevel=3)


def _short(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
