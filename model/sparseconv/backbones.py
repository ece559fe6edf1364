"""Backbones of torchsparse: the same layers under the same names, so that its checkpoints load.

`SparseResUNet42` is a MinkUNet: a U-Net of residual blocks. `SparseResNet21D` is the encoder of CenterPoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from zeroskip.model.sparseconv import nn as spnn
from zeroskip.model.sparseconv.operators import cat
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuples import Size


class SparseConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, dilation: int = 1
    ) -> None:
        super().__init__(
            spnn.Conv3d(in_channels, out_channels, kernel_size, stride=stride, dilation=dilation),
            spnn.BatchNorm(out_channels),
            spnn.ReLU(True),
        )


class SparseConvTransposeBlock(nn.Sequential):
    """Transposed convolution, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, dilation: int = 1
    ) -> None:
        super().__init__(
            spnn.Conv3d(in_channels, out_channels, kernel_size, stride=stride, dilation=dilation, transposed=True),
            spnn.BatchNorm(out_channels),
            spnn.ReLU(True),
        )


class SparseResBlock(nn.Module):
    """Two convolutions with a shortcut around them."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.main = nn.Sequential(
            spnn.Conv3d(in_channels, out_channels, kernel_size, dilation=dilation, stride=stride),
            spnn.BatchNorm(out_channels),
            spnn.ReLU(True),
            spnn.Conv3d(out_channels, out_channels, kernel_size, dilation=dilation),
            spnn.BatchNorm(out_channels),
        )
        steps = {stride} if isinstance(stride, int) else set(stride)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels or steps != {1}:
            self.shortcut = nn.Sequential(
                spnn.Conv3d(in_channels, out_channels, 1, stride=stride), spnn.BatchNorm(out_channels)
            )
        self.relu = spnn.ReLU(True)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The sum of both paths, activated."""
        result: SparseTensor = self.relu(self.main(x) + self.shortcut(x))
        return result


class SparseResUNet(nn.Module):
    """A U-Net: each encoder halves the resolution, each decoder doubles it and joins what the encoder had there.

    Args:
        stem_channels: of the first level.
        encoder_channels: of each coarser level.
        decoder_channels: of each finer level again, as many.
        in_channels: of the input.
        width_multiplier: all of these channels are multiplied by it.
    """

    def __init__(
        self,
        stem_channels: int,
        encoder_channels: Sequence[int],
        decoder_channels: Sequence[int],
        *,
        in_channels: int = 4,
        width_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        if len(encoder_channels) != len(decoder_channels):
            raise ValueError(
                f"decoder_channels must be as many as encoder_channels ({len(encoder_channels)}), "
                f"not {len(decoder_channels)}"
            )
        levels = len(encoder_channels)
        channels = [int(width_multiplier * count) for count in (stem_channels, *encoder_channels, *decoder_channels)]
        self.stem = nn.Sequential(
            spnn.Conv3d(in_channels, channels[0], 3),
            spnn.BatchNorm(channels[0]),
            spnn.ReLU(True),
            spnn.Conv3d(channels[0], channels[0], 3),
            spnn.BatchNorm(channels[0]),
            spnn.ReLU(True),
        )
        self.encoders = nn.ModuleList(
            nn.Sequential(
                SparseConvBlock(channels[level], channels[level], 2, stride=2),
                SparseResBlock(channels[level], channels[level + 1], 3),
                SparseResBlock(channels[level + 1], channels[level + 1], 3),
            )
            for level in range(levels)
        )
        self.decoders = nn.ModuleList()
        for level in range(levels):
            below, here = channels[levels + level], channels[levels + level + 1]
            joined = here + channels[levels - 1 - level]
            fuse = nn.Sequential(SparseResBlock(joined, here, 3), SparseResBlock(here, here, 3))
            upsample = SparseConvTransposeBlock(below, here, 2, stride=2)
            self.decoders.append(nn.ModuleDict({"upsample": upsample, "fuse": fuse}))

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """The tensors of all levels: down from the stem, then up again; the last is at the voxels of the input."""
        outputs = [self.stem(x)]
        for encoder in self.encoders:
            outputs.append(encoder(outputs[-1]))
        for decoder, skipped in zip(self.decoders, outputs[-2::-1], strict=True):
            assert isinstance(decoder, nn.ModuleDict)
            outputs.append(decoder["fuse"](cat([decoder["upsample"](outputs[-1]), skipped])))
        return outputs


class SparseResUNet42(SparseResUNet):
    """The U-Net with 42 layers."""

    def __init__(self, *, in_channels: int = 4, width_multiplier: float = 1.0) -> None:
        super().__init__(
            stem_channels=32,
            encoder_channels=[32, 64, 128, 256],
            decoder_channels=[256, 128, 96, 96],
            in_channels=in_channels,
            width_multiplier=width_multiplier,
        )


class SparseResNet(nn.ModuleList):
    """Stages of a strided block and residual ones.

    Args:
        blocks: for each stage its number of blocks, channels, kernel size and stride.
        in_channels: of the input.
        width_multiplier: all channels of `blocks` are multiplied by it.
    """

    def __init__(
        self, blocks: Sequence[tuple[int, int, Size, Size]], *, in_channels: int = 4, width_multiplier: float = 1.0
    ) -> None:
        super().__init__()
        for count, channels, kernel_size, stride in blocks:
            width = int(channels * width_multiplier)
            first = SparseConvBlock(in_channels, width, kernel_size, stride=stride)
            others = [SparseResBlock(width, width, kernel_size) for _ in range(count - 1)]
            self.append(nn.Sequential(first, *others))
            in_channels = width

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """The tensor after each stage."""
        outputs = []
        for stage in self:
            x = stage(x)
            outputs.append(x)
        return outputs


class SparseResNet21D(SparseResNet):
    """The encoder with 21 layers; the last stage halves the second axis alone."""

    def __init__(self, *, in_channels: int = 4, width_multiplier: float = 1.0) -> None:
        super().__init__(
            blocks=[
                (3, 16, 3, 1),
                (3, 32, 3, 2),
                (3, 64, 3, 2),
                (3, 128, 3, 2),
                (1, 128, (1, 3, 1), (1, 2, 1)),
            ],
            in_channels=in_channels,
            width_multiplier=width_multiplier,
        )
