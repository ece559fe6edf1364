"""Settings of torchsparse 2.1 that networks make at their start.

Only the downsample mode changes results: it is the convention of strided layers that name none. The others choose among
torchsparse's GPU kernels and its ways to find maps. They are kept and given back, and change nothing here.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from zeroskip.model.sparseconv.maps import CONVENTIONS


class Dataflow(Enum):
    """How torchsparse's GPU kernels go over a map."""

    ImplicitGEMM = 0
    GatherScatter = 1
    FetchOnDemand = 2
    CodedCSR = 3


class ConvMode(Enum):
    """How torchsparse sorts and splits the map of an implicit GEMM."""

    mode0 = 0
    mode1 = 1
    mode2 = 2


class ConvConfig(dict[str, Any]):
    """A dictionary whose entries are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the configuration has no {name!r}, only {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


KMAP_MODES = ("hashmap_on_the_fly", "hashmap")

_conv_mode = ConvMode.mode0
_kmap_mode = KMAP_MODES[0]
_downsample_mode = CONVENTIONS[0]
_global_config: ConvConfig | None = None


def set_conv_mode(conv_mode: int | ConvMode) -> None:
    """Keeps torchsparse's convolution mode: 0, 1 or 2. It changes nothing here."""
    global _conv_mode
    _conv_mode = ConvMode(conv_mode) if isinstance(conv_mode, int) else conv_mode


def get_conv_mode() -> ConvMode:
    """The mode that was set."""
    return _conv_mode


def set_kmap_mode(kmap_mode: str) -> None:
    """Keeps torchsparse's way to find maps. It changes nothing here: maps are found by sorting."""
    global _kmap_mode
    if kmap_mode not in KMAP_MODES:
        raise ValueError(f"kmap_mode must be one of {', '.join(KMAP_MODES)}, not {kmap_mode!r}")
    _kmap_mode = kmap_mode


def get_kmap_mode() -> str:
    """The mode that was set."""
    return _kmap_mode


def set_downsample_mode(downsample_mode: str) -> None:
    """Sets the convention of strided layers that name none: "spconv" or "minkowski" (see `maps.strided_map`)."""
    global _downsample_mode
    _downsample_mode = _checked_mode(downsample_mode)


def get_downsample_mode() -> str:
    """The convention of strided layers that name none."""
    return _downsample_mode


def get_default_conv_config(conv_mode: ConvMode = ConvMode.mode0, training: bool = False) -> ConvConfig:
    """A new configuration with torchsparse's defaults and the downsample mode that was set."""
    return ConvConfig(
        dataflow=Dataflow.ImplicitGEMM,
        ifsort=conv_mode is not ConvMode.mode0,
        kmap_mode=_kmap_mode,
        downsample_mode=_downsample_mode,
        split_mask_num=3 if conv_mode is ConvMode.mode2 else 1,
        split_mask_num_bwd=3,
        epsilon=0.0,
        mm_thresh=0,
        FOD_fusion=True,
    )


def set_global_conv_config(conv_config: dict[str, Any]) -> None:
    """Sets the configuration of layers that have none of their own. Missing entries are the defaults."""
    global _global_config
    _checked_mode(conv_config.get("downsample_mode", _downsample_mode))
    _global_config = ConvConfig({**get_default_conv_config(), **conv_config})


def get_global_conv_config() -> ConvConfig | None:
    """The configuration of layers that have none of their own, or None."""
    return _global_config


def clear_global_conv_config() -> None:
    """Layers without a configuration have the defaults again."""
    global _global_config
    _global_config = None


def convention_of(config: Any) -> str:
    """The convention of a strided layer with this configuration (None, a dictionary, or an object with attributes)."""
    for known in (config, _global_config):
        mode = known.get("downsample_mode") if isinstance(known, dict) else getattr(known, "downsample_mode", None)
        if mode is not None:
            return _checked_mode(mode)
    return _downsample_mode


def _checked_mode(mode: str) -> str:
    if mode not in CONVENTIONS:
        raise ValueError(f"downsample_mode must be one of {', '.join(CONVENTIONS)}, not {mode!r}")
    return mode
