"""Compile settings of the N:M tile for tests that are for every core, found by name."""

import numpy as np

import zeroskip

PRUNING = zeroskip.MmaCompileSettings(prune=True, permute=True)
"""Keeps half of the weights."""

SMALL = zeroskip.MmaCompileSettings(m=1, n=2)
"""One tile for many small networks, whose simulator is built once."""

TASKS = {"permuting channels", "pruning to 2:4", "measuring accuracy", "running the golden model"}
"""What takes a while and must be shown."""

CONTRADICTIONS = [
    (zeroskip.MmaCompileSettings(), 2, "epochs, method and permute need prune"),
    (zeroskip.MmaCompileSettings(prune=True, permute=True, method="sr-ste"), 0, "permute must be False with 'sr-ste'"),
    (
        zeroskip.MmaCompileSettings(prune=True, permute=True, method="wanda"),
        0,
        "permute must be False with 'wanda', which does not prune by magnitude",
    ),
    (
        zeroskip.MmaCompileSettings(prune=True, method="sparsegpt"),
        2,
        "epochs must be 0 where 'sparsegpt' prunes at once",
    ),
    (zeroskip.MmaCompileSettings(pattern="dense"), 0, "pattern must be an N:M pattern that prunes, not 'dense'"),
]
"""Settings, epochs, and what is said of them."""

OPTIONS = ("--prune", "--epochs", "4")
"""Options of `zeroskip compile` that train."""

OUTPUTS = {"outputs": np.float32, "raw": np.uint32}
"""The types of the arrays that `zeroskip simulate --outputs` writes: floats, and the core's own bits."""
