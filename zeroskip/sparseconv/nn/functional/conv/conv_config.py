"""Configurations, as torchsparse.nn.functional.conv.conv_config has them."""

from zeroskip.model.sparseconv.settings import (
    Dataflow,
    clear_global_conv_config,
    get_default_conv_config,
    get_global_conv_config,
    set_global_conv_config,
)

_default_conv_config = get_default_conv_config()
"""torchsparse keeps it under this name, and networks copy it."""

__all__ = [
    "Dataflow",
    "clear_global_conv_config",
    "get_default_conv_config",
    "get_global_conv_config",
    "set_global_conv_config",
]
