from __future__ import annotations

import pytest
import torch

from zeroskip.model.device import CPU, kind_of, reproducible, require_device


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CUDA", "", "cuda:-1"])
def test_other_names_of_devices_are_refused(device: str) -> None:
    with pytest.raises(ValueError, match=f"device must be cpu, cuda or cuda:N .*, not '{device}'"):
        require_device(device)


def test_without_a_gpu_only_the_cpu_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    require_device("cpu")
    with pytest.raises(ValueError, match="device must be cpu where torch has no GPU, not cuda:1: "):
        require_device("cuda:1")


def test_a_gpu_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cuda", "cuda:0", "cuda:1"):
        require_device(device)
    with pytest.raises(ValueError, match=r"must be cpu or one of torch's GPUs \(cuda:0, cuda:1\), not cuda:2"):
        require_device("cuda:2")


def test_a_gpu_computes_the_same_bits_every_time_within_the_block_alone() -> None:
    """Deterministic algorithms without TF32 on a GPU; the CPU needs nothing."""
    before = torch.backends.cudnn.allow_tf32
    with reproducible("cuda:0"):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.allow_tf32 == before
    with reproducible(CPU):
        assert not torch.are_deterministic_algorithms_enabled()


def test_a_gpus_number_changes_no_result() -> None:
    assert kind_of("cuda:1") == kind_of("cuda") != kind_of("cpu")
