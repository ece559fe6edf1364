"""Networks with branches on the golden model of the array: close to torch, and kept in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.forging import contents_of, forge
from support.graphs import DECODERS, NETWORKS, images, network
from support.on_the_array import assert_close, compiled

from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import load, save
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.container import BundleError
from zeroskip.model.network.fold import fold
from zeroskip.model.network.host_stages import AddStage
from zeroskip.model.network.stages import shapes

SAMPLES = images()


@pytest.mark.parametrize("name", [*NETWORKS, *DECODERS])
@pytest.mark.parametrize("sizes", [{}, {"accumulator_bits": 16, "product_shift": 12}], ids=["32 bits", "16 bits"])
def test_the_golden_model_is_as_close_to_torch_as_stated(name: str, sizes: dict[str, int]) -> None:
    shared, made = compiled(network(name), SAMPLES, **sizes)
    assert_close(shared, made, SAMPLES, within=None if sizes else 0.004)


def test_the_fractions_of_a_sum_are_no_more_than_those_of_its_finer_part() -> None:
    _, made = compiled(network("inverted residual"), SAMPLES)
    values = made.value_fractions
    (place,) = (index for index, stage in enumerate(made.stages) if isinstance(stage, AddStage))
    parts = [values[place + 1 - back] for back in made.stages[place].back]
    assert values[place + 1] <= max(parts)
    assert values[0] == made.layers[0].input_fraction
    assert [values[1], values[2]] == [made.layers[0].output_fraction] * 2


def test_a_sum_that_does_not_fit_saturates_and_is_counted() -> None:
    """By hand: 20,000 + 20,000 does not fit where the sum has as many fraction bits as its parts, and 1 + 1 does."""
    _, made = compiled(network("one value added to itself"), SAMPLES)
    made = dataclasses.replace(made, fractions=np.full(len(made.stages) + 1, 8, np.int32))
    given = np.zeros((1, 4 * 6 * 6), np.int16)
    given[0, :3] = 20_000, -20_000, 1
    outputs, (loss,) = made.run_host(1, [given, given])
    assert outputs[0, :4].tolist() == [32_767, -32_768, 2, 0]
    assert (loss.layer, loss.what, loss.values, loss.to_zero, loss.saturated) == (0, "additions behind it", 3, 0, 2)


def test_files_keep_graphs(tmp_path: Path) -> None:
    for name in ("inverted residual", "dense block", "GELU"):
        _, made = compiled(network(name), SAMPLES)
        path = tmp_path / f"{name}.zs"
        save(made, path)
        again = load(path)
        assert again.stages == made.stages
        assert again.value_fractions == made.value_fractions
        quantised = quantise_inputs(made, SAMPLES.numpy())[0]
        assert np.array_equal(golden.outputs(again, quantised), golden.outputs(made, quantised))
        assert contents_of(path)[0]["version"] == 4


def _stage(**fields: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Changes the addition, or the activation."""
    place = 1 if {"function", "argument"} & set(fields) else 2
    return lambda header, tensors: header["stages"][place].update(fields)


def _table(place: int) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(header: dict[str, Any], tensors: dict[str, Any]) -> None:
        tensors["tables"] = tensors["tables"].copy()
        tensors["tables"][0, place] += 2

    return change


def _fraction(value: int, by: int) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(header: dict[str, Any], tensors: dict[str, Any]) -> None:
        tensors["fractions"] = tensors["fractions"].copy()
        tensors["fractions"][value] += by

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda header, tensors: header.update(version=2),
            "version must be 4 for stages that the host computes, not 2",
        ),
        (_stage(back=[1, 9]), r"stages\[2\].back must be at most 3, the network's input, not 9"),
        (_stage(back=[1]), r"stages\[2\]: back must be 2 integers of at least 1, not \(1,\)"),
        (_stage(back=[1, 0]), r"stages\[2\]: back must be 2 integers of at least 1, not \(1, 0\)"),
        (_stage(values=7), r"stages\[2\] takes 7 values an image, but value 2, which it reads, gives 144"),
        (_stage(relu=1), r"stages\[2\]: relu must be true or false, not 1"),
        (_fraction(0, 1), r"layers\[0\].input_fraction must be the output_fraction \d+ before it, not \d+"),
        (_fraction(2, 1), r"fractions\[2\] must be exactly \d+, by what stages\[1\] reads, not \d+"),
        (_fraction(3, 40), r"fractions\[3\] must be at most \d+, by what stages\[2\] reads, not \d+"),
        (_fraction(3, -60), "fractions of what stages.2. reads and gives must be at most 40 apart"),
        (_fraction(3, -200), "fractions must be -164 to 164, not"),
        (lambda header, tensors: tensors.pop("fractions"), "tensors must be"),
        (_table(5), r"tables\[0, 5\] must be \d+, the value of the activation, not -?\d+"),
        (_stage(function="relu"), r"stages\[1\]: function must be one of leaky_relu, .*, not 'relu'"),
        (_stage(argument=1), r"stages\[1\]: argument must be 0 for silu, not 1"),
    ],
)
def test_files_of_graphs_that_are_wrong_are_refused(
    change: Callable[[dict[str, Any], dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    name = "SiLU" if any(word in message for word in ("tables", "function", "argument")) else "basic block"
    _, made = compiled(network(name), SAMPLES)
    path = tmp_path / "network.zs"
    save(made, path)
    forge(path, change)
    with pytest.raises(BundleError, match=message):
        load(path)


def test_files_whose_values_are_left_unused_are_refused(tmp_path: Path) -> None:
    """The sum reads the input twice, and nothing reads the first layer."""
    _, made = compiled(network("shortcut from the input"), SAMPLES)
    save(made, tmp_path / "network.zs")
    forge(tmp_path / "network.zs", lambda header, tensors: header["stages"][1].update(back=[2, 2]))
    with pytest.raises(BundleError, match=r"stages must read what stages\[0\] gives, not leave it unused$"):
        load(tmp_path / "network.zs")


def test_a_chain_is_kept_as_before(tmp_path: Path) -> None:
    """Without stages of the host, earlier versions read the file."""
    from torch import nn

    module = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    made = compile_network(share_layers(fold(module)), SAMPLES.numpy(), EieGeometry(pes=4), fit=MEMORIES)
    assert made.fractions is None
    save(made, tmp_path / "chain.zs")
    assert contents_of(tmp_path / "chain.zs")[0]["version"] == 2


def test_only_values_that_meet_must_be_near(tmp_path: Path) -> None:
    """A layer may read very small values and give very large ones."""
    from torch import nn

    module = nn.Linear(2, 2, bias=False)
    nn.init.constant_(module.weight, 2.0**50)
    inputs = np.full((4, 2), 2.0**-30, np.float32)
    made = compile_network(share_layers(fold(module)), inputs, EieGeometry(pes=4), fit=MEMORIES)
    assert made.input_fraction - made.output_fraction > 40
    save(made, tmp_path / "far.zs")
    assert load(tmp_path / "far.zs").layers == made.layers


def test_branches_of_too_different_sizes_are_refused() -> None:
    module = network("addition of pooled values")
    with torch.no_grad():
        for parameter in (module.long.weight, module.long.bias):
            parameter.mul_(2.0**-45)
        module.hidden.weight.mul_(2.0**60)
    shared = share_layers(fold(module, SAMPLES), inputs=SAMPLES.numpy())
    with pytest.raises(
        ValueError, match=r"^stage \d+, an addition: its values reach .* at most 40 are supported: scale the"
    ):
        compile_network(shared, SAMPLES.numpy(), EieGeometry(pes=4), fit=MEMORIES)


def test_shapes_for_people_say_what_is_joined() -> None:
    _, made = compiled(network("downsampling shortcut"), SAMPLES)
    assert shapes(made.stages, made.layers) == ["4x6x6", "4x6x6", "8x3x3", "8x3x3 (1)", "8x3x3 (2 + 3)", "8x1x1", "3"]
