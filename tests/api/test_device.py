from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from zeroskip.api.compare import compare
from zeroskip.api.finetune import finetune
from zeroskip.api.search import search
from zeroskip.api.train import train


def test_a_gpu_gives_what_the_cpu_gives() -> None:
    """In a process of its own: one in which torch knows a device beside the CPU cannot fork workers that train."""
    cases = Path(__file__).with_name("gpu_cases.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_process_alone_searches_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"workers must be 1 on the device cuda, .*, not 2"):
        search("no.such.module:network", "no-such-file.npz", workers=2, device="cuda")


@pytest.mark.parametrize("command", [train, finetune, search, compare])
def test_a_device_that_is_not_there_is_refused_before_any_work(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    needed: dict[str, Any] = {finetune: {"compression": 2}, compare: {"output": tmp_path / "c.json"}}.get(command, {})
    with pytest.raises(ValueError, match="device must be cpu where torch has no GPU, not cuda"):
        command("no.such.module:network", "no-such-file.npz", device="cuda", **needed)
