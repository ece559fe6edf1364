"""Parallel kernels and torch in one process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FIRST_KERNEL = """
import numpy as np, torch
from model.golden.mma_kernels import add_integers

torch.set_num_threads({threads})
assert torch.get_num_threads() == {threads}
result = np.zeros((4, 3), np.int64)
ones = np.ones((4, 8), np.int64)
add_integers(ones, ones[:3], np.arange(8)[None], np.zeros((4, 3), np.int64), False, 8, False, result)
assert (result == 8).all()
print(torch.get_num_threads())
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_kernel_of_a_process_leaves_torchs_threads_as_they_are(threads: int) -> None:
    code = FIRST_KERNEL.format(threads=threads)
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.stdout.strip(), done.stderr) == (str(threads), "")
