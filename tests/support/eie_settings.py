"""Compile settings of the EIE array for tests that are for every core, found by name."""

import numpy as np

import zeroskip

PRUNING = zeroskip.EieCompileSettings(density=0.5, pes=2)
"""Keeps half of the weights."""

SMALL = zeroskip.EieCompileSettings(pes=2, entry_words=64, pointers=64, activation_rows=32, layers=2)
"""One array for many small networks, whose simulator is built once: as large as `zeroskip compile --pes 2` makes it for
the network of tests/conftest.py."""

TASKS = {"sharing weights", "measuring accuracy", "choosing fraction bits", "running the golden model"}
"""What takes a while and must be shown."""

CONTRADICTIONS = [
    (zeroskip.EieCompileSettings(density=1.5), 0, "density must be from 0 to 1"),
    (zeroskip.EieCompileSettings(pes=3), 0, "pes must be a power of two from 1 to 256"),
    (zeroskip.EieCompileSettings(pruning="wanda"), 0, "pruning by 'wanda' needs a density above 0"),
    (zeroskip.EieCompileSettings(pruning="wanda", density=0.5), 1, "epochs must be 0 where 'wanda' prunes at once"),
    (zeroskip.EieCompileSettings(), 2, "epochs need a density: without it nothing is trained"),
]
"""Settings, epochs, and what is said of them."""

OPTIONS = ("--density", "0.2", "--epochs", "4")
"""Options of `zeroskip compile` that train."""

OUTPUTS = {"outputs": np.float64, "raw": np.int16}
"""The types of the arrays that `zeroskip simulate --outputs` writes: floats, and the core's own bits."""
