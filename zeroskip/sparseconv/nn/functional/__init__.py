"""Functions, as torchsparse.nn.functional has them, and those of pooling and of voxels."""

from zeroskip.model.sparseconv.functional import conv3d
from zeroskip.model.sparseconv.lookup import rows_at, spcount, sphash, sphashquery
from zeroskip.model.sparseconv.nn.functions import leaky_relu, relu, silu, spdownsample
from zeroskip.model.sparseconv.operators import spcrop
from zeroskip.model.sparseconv.pooling import avg_pool, global_avg_pool, global_max_pool, max_pool
from zeroskip.model.sparseconv.settings import (
    ConvMode,
    Dataflow,
    get_conv_mode,
    get_downsample_mode,
    get_kmap_mode,
    set_conv_mode,
    set_downsample_mode,
    set_kmap_mode,
)
from zeroskip.model.sparseconv.voxels import calc_ti_weights, devoxelize, spdevoxelize, spvoxelize, voxelize
from zeroskip.sparseconv.nn.functional import conv
from zeroskip.sparseconv.nn.functional.conv import conv_config

__all__ = [
    "ConvMode",
    "Dataflow",
    "avg_pool",
    "calc_ti_weights",
    "conv",
    "conv3d",
    "conv_config",
    "devoxelize",
    "get_conv_mode",
    "get_downsample_mode",
    "get_kmap_mode",
    "global_avg_pool",
    "global_max_pool",
    "leaky_relu",
    "max_pool",
    "relu",
    "rows_at",
    "set_conv_mode",
    "set_downsample_mode",
    "set_kmap_mode",
    "silu",
    "spcount",
    "spcrop",
    "spdevoxelize",
    "spdownsample",
    "sphash",
    "sphashquery",
    "spvoxelize",
    "voxelize",
]
