"""Every core of the registry keeps the protocol, and none is known to the others."""

import subprocess
import sys

import numpy as np
import pytest
from torch import nn

from zeroskip.model.core import Cycles, golden_run
from zeroskip.model.cores import CORES, core_of_cost, core_of_storage, load_core
from zeroskip.model.network.container import read
from zeroskip.model.sources import PACKAGE, import_closure


@pytest.fixture(params=CORES)
def core(request):
    return load_core(request.param)


def _module() -> nn.Module:
    """16 -> 8 -> 3, small whole numbers, so that every core's formats hold them exactly."""
    rng = np.random.default_rng(5)
    module = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    for parameter in module.parameters():
        values = rng.integers(-3, 4, tuple(parameter.shape)).astype(np.float32)
        parameter.data.copy_(type(parameter.data)(values.tolist()))
    return module


def _inputs(images: int = 6) -> np.ndarray:
    return np.random.default_rng(6).integers(-4, 5, (images, 16)).astype(np.float32)


def test_a_compiled_network_computes_what_torch_does(core) -> None:
    import torch

    module, inputs = _module(), _inputs()
    outputs = core.outputs(core.compile(module, inputs, core.settings_type()), inputs)

    expected = module(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_array_equal(outputs, expected)


def test_a_golden_run_in_parts_is_that_of_the_whole(core, monkeypatch) -> None:
    monkeypatch.setattr("zeroskip.model.core._CHUNK", 4)
    inputs = _inputs(10)
    inputs[3] *= 1e6
    network = core.compile(_module(), _inputs(), core.settings_type())
    result = golden_run(core, network, inputs)
    outputs, losses = core.outputs_and_losses(network, inputs)
    np.testing.assert_array_equal(result.outputs, outputs)
    assert list(result.losses) == losses
    assert any(loss.saturated for loss in losses)


def test_a_saved_network_comes_back(core, tmp_path) -> None:
    inputs = _inputs()
    network = core.compile(_module(), inputs, core.settings_type())

    core.save(network, tmp_path / "network.zs")
    container = read(tmp_path / "network.zs")

    assert container.core == core.name
    back = core.from_container(container)
    np.testing.assert_array_equal(core.outputs(back, inputs), core.outputs(network, inputs))


def test_images_of_a_batch_share_its_cycles() -> None:
    cycles = Cycles(by_layer=np.array([[20, 9], [4, 3]]), totals=np.array([30, 8]), images=np.array([2, 1]))

    np.testing.assert_array_equal(cycles.per_image, [15, 15, 8])


def test_costs_belong_to_their_core() -> None:
    for entry in CORES.values():
        assert [core_of_cost(cost) for cost in entry.costs] == [entry] * len(entry.costs)
    assert core_of_cost("macs") is None


@pytest.mark.parametrize("granularity", ["weights", "nm", "channels"])
def test_one_core_stores_what_is_pruned_at_a_granularity(granularity: str) -> None:
    (entry,) = (entry for entry in CORES.values() if granularity in entry.stores)
    assert core_of_storage(granularity) == entry


def test_an_unknown_core_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=f"core must be one of {', '.join(CORES)}, not 'tpu'"):
        load_core("tpu")


@pytest.mark.parametrize("name", CORES)
def test_a_core_imports_no_other_core_and_neither_pruning_nor_search(name: str) -> None:
    files = [path.relative_to(PACKAGE).parts for path in import_closure(f"zeroskip.model.{name}.core")]

    rooms = {parts[1] for parts in files if parts[0] == "model" and len(parts) > 2}
    assert rooms & (set(CORES) | {"pruning", "search"}) == {name}


def test_the_registry_imports_nothing_heavy() -> None:
    code = "import sys, zeroskip.model.cores; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"numpy", "torch", "numba", "amaranth", "cocotb"} & set(done.stdout.split())
