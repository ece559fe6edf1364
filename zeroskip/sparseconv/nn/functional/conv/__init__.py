"""Settings of convolutions, where torchsparse.nn.functional.conv has them."""

from zeroskip.sparseconv.nn.functional.conv import conv_config, conv_mode

__all__ = ["conv_config", "conv_mode"]
