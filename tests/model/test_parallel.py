"""Parallel kernels in a process with torch, with forks, and with threads."""

from __future__ import annotations

import os
import subprocess
import sys

KERNEL = """
import multiprocessing, threading
import numpy as np, torch
from zeroskip.model.mma.kernels import add_integers


def product(_=None):
    result = np.zeros((400, 3), np.int64)
    ones = np.ones((400, 800), np.int64)
    add_integers(ones, ones[:3], np.arange(800)[None], np.zeros((400, 3), np.int64), False, 8, False, result)
    return bool((result == 800).all())

"""


def printed(code: str) -> str:
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", KERNEL + code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_the_first_kernel_of_a_process_leaves_torchs_threads_as_they_are() -> None:
    code = """
for threads in (1, 3):
    torch.set_num_threads(threads)
    assert torch.get_num_threads() == threads
    assert product()
    print(torch.get_num_threads())
"""
    assert printed(code).split() == ["1", "3"]


def test_forked_processes_run_kernels_too() -> None:
    code = """
assert product()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(product, range(4)).get(60))
"""
    assert printed(code) == "[True, True, True, True]"


def test_threads_take_turns() -> None:
    code = """
found = []
threads = [threading.Thread(target=lambda: found.extend(product() for _ in range(200))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(all(found), len(found))
"""
    assert printed(code) == "True 800"
