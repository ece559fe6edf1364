"""Work in this process, in several and by Ray: the same results in the same order, and errors that reach the caller."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch

from zeroskip.model import user_code
from zeroskip.model.loading import load_factory
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.short_training import train_for_batches
from zeroskip.model.search.workers import parse_workers, worker_map

EVERYWHERE = [1, 3, "ray"]


def test_names() -> None:
    assert [parse_workers(text) for text in ("1", "12")] == [1, 12]
    for text in ("0", "-1", "1.5", "", "all", "²"):
        with pytest.raises(ValueError, match=re.escape(f"workers must be a number from 1, or ray, not {text!r}")):
            parse_workers(text)


@pytest.mark.parametrize("workers", EVERYWHERE)
def test_results_keep_their_order(workers: int | str) -> None:
    offset = torch.tensor(5.0)
    with worker_map(lambda item: float(offset * item), workers) as do:
        assert list(do(range(20))) == [5.0 * item for item in range(20)]
        assert list(do([])) == []
        assert list(do([3])) == [15.0]


def test_processes_are_others_with_one_thread() -> None:
    with worker_map(lambda _: (os.getpid(), torch.get_num_threads()), 2) as do:
        seen = set(do(range(30)))
    assert os.getpid() not in {process for process, _ in seen}
    assert {threads for _, threads in seen} == {1}


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    """A parent that is killed cannot end them itself."""
    (tmp_path / "search.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom zeroskip.model.search.workers import worker_map\n\n\n"
        "def work(item):\n    Path(str(os.getpid())).touch()\n    time.sleep(60)\n\n\n"
        "with worker_map(work, 2) as do:\n    list(do(range(2)))\n"
    )
    root = str(Path(__file__).parents[3])
    running = subprocess.Popen([sys.executable, "search.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root})
    while len(workers := [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]) < 2:
        assert running.poll() is None
        time.sleep(0.05)
    running.kill()
    running.wait()
    until = time.monotonic() + 30
    while any(Path(f"/proc/{worker}/stat").exists() for worker in workers):
        assert time.monotonic() < until, "they are still there"
        time.sleep(0.1)


def test_a_callers_own_process_lives_on() -> None:
    """Whether the caller takes all results, some of them, or gets an error."""
    own = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    own.start()
    try:
        with worker_map(abs, 2) as do:
            assert next(do(range(50))) == 0
        with pytest.raises(ZeroDivisionError), worker_map(lambda item: 1 / item, 2) as do:
            list(do([1, 0]))
        assert own.is_alive()
    finally:
        own.kill()
        own.join()


def test_results_that_nobody_takes_leave_no_tracebacks(capfd: pytest.CaptureFixture[str]) -> None:
    def results() -> Iterator[int]:
        with worker_map(abs, 2) as do:
            yield from do(range(50))

    some = results()
    assert [next(some), next(some)] == [0, 1]
    del some
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("workers", EVERYWHERE)
def test_trained_weights_are_the_same_everywhere(workers: int | str) -> None:
    """Not only accuracies: a process that draws other samples, or rounds otherwise, gives other weights."""
    inputs, labels = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3

    def weights(number: int) -> torch.Tensor:
        torch.manual_seed(1)
        module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
        train_for_batches(
            module,
            Samples(inputs=inputs, labels=labels),
            iterations=5,
            learning_rate=0.1,
            batch_size=8,
            constant=True,
            seed=3,
            number=number,
        )
        return torch.cat([value.detach().flatten() for value in module.parameters()])

    with worker_map(weights, workers) as do:
        found = list(do([0, 1, 2]))
    assert all(torch.equal(weights(number), one) for number, one in enumerate(found))
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("workers", EVERYWHERE)
def test_errors_come_back(workers: int | str) -> None:
    with worker_map(lambda item: 1 // item, workers) as do, pytest.raises(ZeroDivisionError):
        list(do([1, 0, 2]))


def test_work_in_progress_ends_with_an_error_elsewhere() -> None:
    """Nobody waits for what other processes are doing then."""

    def work(item: int) -> float:
        time.sleep(1 if item else 60)
        return 1 / (1 - item)

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), worker_map(work, 2) as do:
        next(do([1, 0]))
    assert time.monotonic() - began < 40


@pytest.mark.parametrize("milliseconds", range(0, 100, 10))
def test_a_result_on_its_way_does_not_hang_an_interruption(milliseconds: int) -> None:
    """Work is given up while another process sends a large result: half of it must not be waited for for ever."""

    def work(item: int) -> bytes:
        if item == 1:
            time.sleep(0.05)
        return bytes(100_000_000 * item)

    def interrupted() -> None:
        with worker_map(work, 2) as do:
            next(do([0, 1, 1, 1]))
            time.sleep(0.05 + milliseconds / 1000)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


@pytest.mark.parametrize("workers", EVERYWHERE)
def test_networks_from_a_users_file(workers: int | str, tmp_path: Path) -> None:
    """A network of a class that no other process could import."""
    (tmp_path / "onlyhere.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Linear(3, 2))\n"
    )
    network = load_factory(f"{tmp_path / 'onlyhere.py'}:Net")
    network.requires_grad_(False)
    expected = float(network(torch.ones(1, 3)).sum())
    with worker_map(lambda item: float(network(torch.full((1, 3), item)).sum()), workers) as do:
        assert list(do([1.0, 1.0])) == [expected, expected]


def test_ray_on_machines_without_the_users_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.model.search.workers._on_other_machines", lambda: True)
    path = tmp_path / "nowhere.py"
    path.write_text("from torch import nn\n\n\nclass Net(nn.Linear):\n    pass\n")
    network = load_factory(f"{path}:Net(in_features=3, out_features=2)")
    path.unlink()
    try:
        with worker_map(lambda item: network(torch.full((1, 3), item)).shape, "ray") as do:
            assert list(do([1.0])) == [(1, 2)]
    finally:
        ray.cloudpickle.unregister_pickle_by_value(user_code)


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=re.escape("pip install 'zeroskip[ray]'")):
        parse_workers("ray")


def test_ray_finds_what_a_forward_imports_and_opens_only_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_late.py").write_text("FACTOR = 7\n")
    (tmp_path / "opened_late.txt").write_text("8")
    monkeypatch.chdir(tmp_path)

    def work(item: int) -> int:
        factor: int = importlib.import_module("imported_late").FACTOR
        return item * factor * int(Path("opened_late.txt").read_text())

    with worker_map(work, "ray") as do:
        assert list(do([1, 2])) == [56, 112]
