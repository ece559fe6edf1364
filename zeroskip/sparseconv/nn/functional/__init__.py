"""Functions, as torchsparse.nn.functional has them, and those of pooling and of voxels."""

from zeroskip.model.sparseconv import voxels
from zeroskip.model.sparseconv.functional import conv3d
from zeroskip.model.sparseconv.lookup import rows_at
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
from zeroskip.sparseconv.nn.functional import conv, count, hash, query
from zeroskip.sparseconv.nn.functional.conv import conv_config
from zeroskip.sparseconv.nn.functional.count import spcount
from zeroskip.sparseconv.nn.functional.devoxelize import calc_ti_weights, spdevoxelize
from zeroskip.sparseconv.nn.functional.hash import sphash
from zeroskip.sparseconv.nn.functional.query import sphashquery
from zeroskip.sparseconv.nn.functional.voxelize import spvoxelize

# The imports above bound two modules of torchsparse to these names; here they are functions.
devoxelize = voxels.devoxelize
voxelize = voxels.voxelize

__all__ = [
    "ConvMode",
    "Dataflow",
    "avg_pool",
    "calc_ti_weights",
    "conv",
    "conv3d",
    "conv_config",
    "count",
    "devoxelize",
    "get_conv_mode",
    "get_downsample_mode",
    "get_kmap_mode",
    "global_avg_pool",
    "global_max_pool",
    "hash",
    "leaky_relu",
    "max_pool",
    "query",
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
