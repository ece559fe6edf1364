"""Runs the measurements of a search in this process, in several processes, or by Ray, with the same results."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from zeroskip.model import user_code
from zeroskip.model.import_path import child_environment
from zeroskip.model.lost_connections import ignore_lost_connections
from zeroskip.model.processes import end_processes
from zeroskip.model.temporary import TemporaryFolder

Map = Callable[[Iterable[Any]], Iterator[Any]]
"""Like the built-in map: yields the results in the order of the items, each as soon as it is known."""

_work: Callable[[Any], Any] | None = None
"""The function that a process of the pool runs. It inherits this global when it is forked."""

_at_work = False
"""Whether this process of the pool is within `_work`."""

_stopped = False
"""Whether this process of the pool was told to end."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def parse_workers(text: str) -> int | str:
    """A number of processes, 1 being this one, or "ray". Raises ValueError for anything else."""
    if text == "ray":
        if importlib.util.find_spec("ray") is None:
            raise ValueError("workers ray needs Ray; install it with: pip install 'zeroskip[ray]'")
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"workers must be a number from 1, or ray, not {text!r}")
    return int(text)


@contextmanager
def worker_map(work: Callable[[Any], Any], workers: int | str) -> Iterator[Map]:
    """Gives a map function that runs `work` for items within the block, in `workers` processes or by Ray.

    Each process uses one thread, and so should this one: the number of threads changes how sums are rounded.
    """
    if workers == 1:
        yield lambda items: map(work, items)
    elif workers == "ray":
        yield _by_ray(work)
    else:
        assert isinstance(workers, int)
        with _pool(work, workers) as pool:
            yield partial(_map, pool)


@contextmanager
def _pool(work: Callable[[Any], Any], workers: int) -> Iterator[ProcessPoolExecutor]:
    global _work
    before, _work = _work, work
    others = multiprocessing.active_children()
    try:
        # A forked process has the network, whatever its class, and the data; nothing needs to be sent.
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),)) as pool:
            try:
                yield pool
            except GeneratorExit:
                # The caller has taken all that it wanted.
                raise
            except BaseException:
                end_processes(but=others)
                raise
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        _work = before


def _map(pool: ProcessPoolExecutor, items: Iterable[Any]) -> Iterator[Any]:
    wanted = list(items)
    # Signals wait until the items are queued: the first call forks the processes, and these begin with the signal
    # handlers of this one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return pool.map(_do, wanted)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int) -> None:
    torch.set_num_threads(1)
    ignore_lost_connections()
    # Ctrl-C in a terminal goes to all processes: the parent handles it, and ends its workers by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent has ended, which may have been killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _stop(number: int, frame: FrameType | None) -> None:
    """Gives up the work in progress by an exception, so that no file stays half written, and all further work.

    Outside of the work nothing is raised: an exception while a result is on its way would leave the parent waiting for
    the rest of it. The pool's shutdown ends such a process.
    """
    global _stopped, _at_work
    _stopped = True
    if _at_work:
        _at_work = False
        raise SystemExit(128 + number)


def _do(item: Any) -> Any:
    global _at_work
    assert _work is not None
    try:
        _at_work = True
        if _stopped:
            raise SystemExit
        return _work(item)
    finally:
        _at_work = False


def _by_ray(work: Callable[[Any], Any]) -> Map:
    import ray

    if not ray.is_initialized():
        # Ray's processes look for modules first in the folder in which Ray was started. In an empty folder, no file of
        # the user replaces a library's module.
        empty = TemporaryFolder(prefix="zeroskip-ray-")
        atexit.register(empty.cleanup)
        with child_environment(), contextlib.chdir(empty.path):
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    if _on_other_machines():
        # These need not have the user's files.
        ray.cloudpickle.register_pickle_by_value(user_code)
    folder = str(Path.cwd())
    shared = ray.put(work)

    @ray.remote(num_cpus=1)
    def do(what: Callable[[Any], Any], item: Any) -> Any:
        torch.set_num_threads(1)
        if folder not in sys.path and os.path.isdir(folder):
            # For what the user's forward() imports or opens only now.
            os.chdir(folder)
            sys.path.append(folder)
        return what(item)

    return lambda items: map(ray.get, [do.remote(shared, item) for item in items])


def _on_other_machines() -> bool:
    import ray

    return any(node["NodeManagerHostname"] != socket.gethostname() for node in ray.nodes())
