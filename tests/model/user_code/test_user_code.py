"""Modules in the user's folder: found there first whatever they are called, and hidden from everyone else."""

from __future__ import annotations

import inspect
import logging
import multiprocessing
import queue
import re
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from zeroskip.model.loading import load_factory
from zeroskip.model.networks import lenet_5

NET = (
    "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self):\n        super().__init__(3, {outputs})\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, a user's. sys.path is as it was after the test. Messages name the folders of PYTHONPATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def write(folder: Path, **files: str) -> None:
    """Files by their names without .py; "__" stands for a folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def net(outputs: int) -> str:
    return NET.format(outputs=outputs)


def outputs(name: str) -> int:
    layer = load_factory(name)
    assert isinstance(layer, nn.Linear)
    return layer.out_features


# Folders of this package, modules of Python's own library (`queue` is in use already), installed packages, this one.
@pytest.mark.parametrize("name", ["model", "rtl", "cosim", "fpga", "code", "queue", "rich", "tests", "zeroskip"])
def test_any_name(folder: Path, name: str) -> None:
    write(folder, **{name: net(5)}, factory=f"from {name} import Net\n\nmake = Net\n")
    before = sys.modules.get(name)
    assert [outputs(f"{name}:Net"), outputs("factory:make"), outputs(f"{name}.py:Net")] == [5, 5, 5]
    assert sys.modules.get(name) is before


def test_one_module_for_all_who_import_it(folder: Path) -> None:
    write(
        folder,
        queue=net(5),
        other="import queue\n",
        factory="import queue\nimport other\nfrom queue import Net\n\nassert queue.Net is Net is other.queue.Net\n",
    )
    load_factory("factory:Net")
    assert type(load_factory("queue.py:Net")) is type(load_factory("factory:Net"))


def test_libraries_see_nothing_of_it(folder: Path) -> None:
    """logging.handlers imports `queue`, here while the user's file is being loaded."""
    write(folder, queue=net(5), factory="import logging.handlers\nfrom queue import Net\n")
    sys.modules.pop("logging.handlers", None)
    load_factory("factory:Net")
    assert sys.modules["logging.handlers"].queue is queue  # type: ignore[attr-defined]
    assert queue.Queue.__module__ == "queue"


def test_imports_that_run_late(folder: Path) -> None:
    late = "    def forward(self, x):\n        from code import scale\n        return super().forward(x) * scale\n"
    write(folder, model=net(2) + "\n" + late, code="scale = 0.0\n")
    network = load_factory("model:Net")
    assert torch.equal(network(torch.ones(1, 3)), torch.zeros(1, 2))
    found: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: found.append(network(torch.ones(1, 3))))
    thread.start()
    thread.join()
    assert torch.equal(found[0], torch.zeros(1, 2))


def test_packages(folder: Path) -> None:
    write(
        folder,
        pkg____init__="",
        pkg__blocks=net(4),
        pkg__nets="from . import blocks\nfrom .blocks import Net\nimport pkg.blocks as same\n\nassert blocks is same\n",
        plain__nets="from plain.blocks import Net\nimport plain.blocks\n\nassert plain.blocks.Net is Net\n",
        plain__blocks=net(6),
        # No package of the user's: a regular one has this name.
        torch__notes="",
    )
    assert [outputs("pkg.nets:Net"), outputs("plain.nets:Net"), outputs("plain/nets.py:Net")] == [4, 6, 6]


def test_a_file_by_its_path(folder: Path) -> None:
    """What lies beside it comes first, then the current folder."""
    write(
        folder,
        code=net(1),
        far=net(7),
        there__code=net(8),
        there__both="from code import Net\nfrom far import Net as Far\n",
    )
    (folder / "there" / "my-net.py").write_text("from code import Net\n")
    (folder / "there" / "both").mkdir()
    assert [outputs(f"there/both.py:{name}") for name in ("Net", "Far")] == [8, 7]
    assert outputs(f"{folder / 'there' / 'my-net.py'}:Net") == 8
    assert outputs("code:Net") == 1


def test_a_changed_file_is_read_again(folder: Path) -> None:
    write(folder, model=net(4), factory="from model import Net\n")
    assert outputs("factory:Net") == 4
    write(folder, model=net(5), there__factory="from model import Net\n")
    assert outputs("factory:Net") == 5
    assert outputs("there/factory.py:Net") == 5
    write(folder, model=net(6))
    assert outputs("there/factory.py:Net") == 6
    assert not (folder / "__pycache__").exists()


def test_the_networks_that_come_with_zeroskip(folder: Path) -> None:
    """By their name, where the user has a zeroskip.py, and in the user's own modules."""
    write(folder, zeroskip=net(3), factory="import zeroskip\nfrom zeroskip.networks import lenet_5\n\nzeroskip.Net()\n")
    expected = repr(lenet_5())
    assert [repr(load_factory(name)) for name in ("zeroskip.networks:lenet_5", "factory:lenet_5")] == [expected] * 2


def test_loggers_are_the_users(folder: Path) -> None:
    write(folder, model="import logging\n\n" + net(3) + "\n\nNet.log = logging.getLogger(__name__)\n")
    log: logging.Logger = type(load_factory("model:Net")).log  # type: ignore[attr-defined]
    assert log.parent is not None
    assert log.parent.parent is logging.getLogger()


def test_importlib_finds_the_folder_last(folder: Path) -> None:
    write(folder, odd_name=net(4), model="import importlib\n\nNet = importlib.import_module('odd_name').Net\n")
    assert outputs("model:Net") == 4


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("name", ["queue:Net", "factory:Net", "there/my-net.py:Net"])
def test_other_processes_find_the_same_classes(folder: Path, start: str, name: str) -> None:
    write(folder, queue=net(5), factory="from queue import Net\n", there__queue=net(2))
    (folder / "there" / "my-net.py").write_text("from queue import Net as Base\n\nclass Net(Base):\n    pass\n")
    network = load_factory(name)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(start)) as pool:
        # Sent there and back: both are by name.
        assert pool.submit(type, network).result() is type(network)
    assert "class Net" in inspect.getsource(type(network))


BROKEN = "import torch\n\n\ndef helper():\n    return 1 // 0\n"


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        ({}, "nets:Net", "there is no module 'nets': no nets.py in {folder}, and no installed package has it"),
        ({}, "rtl:Net", "there is no module 'rtl': no rtl.py in {folder}, and no installed package has it"),
        ({}, "pkg.nets:Net", "there is no module 'pkg.nets': no pkg/nets.py in {folder}, and no installed package"),
        ({"pkg____init__": ""}, "pkg.nets:Net", "there is no module 'pkg.nets': no pkg/nets.py in {folder}, and"),
        ({}, "nets.py:Net", "nets.py is not a Python file: {folder}/nets.py does not exist or is no file"),
        (
            {},
            "nets/small:Net",
            "MODULE must be a dotted name, as in nets.small, or the path of a .py file, not 'nets/s",
        ),
        ({"model": net(3)}, "model:Other", "{folder}/model.py has no function or class 'Other'"),
        ({"code": net(3)}, "code:Other", "{folder}/code.py has no function or class 'Other'"),
        ({"zeroskip": net(3)}, "zeroskip:lenet_5", "{folder}/zeroskip.py has no function or class 'lenet_5'"),
        (
            {"model": "\nimport gone\n"},
            "model:Net",
            "model failed in model.py, line 2: ModuleNotFoundError: No module ",
        ),
        (
            {"model": net(3), "factory": "from model import Other\n"},
            "factory:make",
            "factory failed in factory.py, line 1: ImportError: cannot import name 'Other' from 'model' ({folder}/mo",
        ),
        (
            {"sub__helps": BROKEN, "factory": "import sub.helps\nsub.helps.helper()\n"},
            "factory:make",
            "factory failed in sub/helps.py, line 5: ZeroDivisionError: ",
        ),
        ({"model": "def make(:\n"}, "model:make", "model failed in model.py, line 1: SyntaxError: invalid syntax"),
        ({"model": "def make():\n    return gone\n"}, "model:make", "model:make() failed in model.py, line 2: NameErr"),
        ({"model": "def make(size):\n    pass\n"}, "model:make", "model:make() failed: TypeError: make() missing 1 re"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, files: dict[str, str], name: str, message: str) -> None:
    write(folder, **files)
    with pytest.raises(ValueError, match=f"^{re.escape(message.format(folder=folder))}"):
        load_factory(name)
