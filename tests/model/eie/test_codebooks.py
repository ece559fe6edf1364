"""Codebooks by group of columns, against plain arithmetic and against layers that hold one group alone."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.forging import contents_of, forge
from support.on_the_array import assert_close
from torch import nn

import zeroskip
from zeroskip.model.data.dataset import Dataset
from zeroskip.model.eie import bundle, golden
from zeroskip.model.eie.balance import assign_rows
from zeroskip.model.eie.bundle import BundleError, EieLayer, EieNetwork, FitError, assemble
from zeroskip.model.eie.calibrated_sharing import share_matrix
from zeroskip.model.eie.codebooks import with_groups
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.core import CORE
from zeroskip.model.eie.geometry import FITTED, EieGeometry
from zeroskip.model.eie.settings import EieSettings, Sharing
from zeroskip.model.eie.shared import SharedConv, SharedLayer, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.error_feedback import dampened
from zeroskip.model.network.fold import fold
from zeroskip.model.network.operations import Linear
from zeroskip.model.network.stages import ConvStage, LinearStage
from zeroskip.model.pruning.centroids import SharedLinear, trainable_network, with_trained_codebooks

COLUMNS = 8
GROUPED = EieGeometry(pes=4, codebook_columns=COLUMNS)


def two_layers() -> nn.Sequential:
    """20 -> 30 -> 7: three and four groups, the last ones with fewer columns; weights of another size in each."""
    torch.manual_seed(0)
    layers = nn.Linear(20, 30), nn.Linear(30, 7)
    with torch.no_grad():
        for layer in layers:
            layer.weight *= 2.0 ** -(torch.arange(layer.in_features) // COLUMNS) * (
                torch.rand(layer.weight.shape) < 0.6
            )
    return nn.Sequential(layers[0], nn.ReLU(), layers[1])


def samples(count: int = 40) -> torch.Tensor:
    return torch.randn(count, 20, generator=torch.Generator().manual_seed(1))


def shared(sharing: Sharing = "plain") -> list[Any]:
    inputs = samples()
    return share_layers(fold(two_layers(), inputs), inputs=inputs.numpy(), sharing=sharing, codebook_columns=COLUMNS)


def compiled(*, balance_load: bool = False, geometry: EieGeometry = GROUPED) -> EieNetwork:
    return compile_network(shared(), samples().numpy(), geometry, fit=FITTED, balance_load=balance_load)


def test_each_group_is_shared_as_if_it_were_a_layer() -> None:
    module = two_layers()
    for layer, linear in zip(shared(), (module[0], module[2]), strict=True):
        for first in range(0, linear.in_features, COLUMNS):
            last = first + COLUMNS >= linear.in_features
            alone = nn.Linear(len(linear.weight[0, first : first + COLUMNS]), linear.out_features, bias=last)
            with torch.no_grad():
                alone.weight.copy_(linear.weight[:, first : first + COLUMNS])
                if last:
                    alone.bias.copy_(linear.bias)
            (wanted,) = share_layers(fold(nn.Sequential(alone)))
            np.testing.assert_allclose(layer.weight[:, first : first + COLUMNS], wanted.weight, rtol=1e-6)
            if last:
                np.testing.assert_allclose(layer.bias, wanted.bias, rtol=1e-6)


def test_no_more_columns_than_a_group_is_one_codebook() -> None:
    folded = fold(two_layers(), samples())
    for one, other in zip(share_layers(folded), share_layers(folded, codebook_columns=32), strict=True):
        assert np.array_equal(one.codebook, other.codebook)
        assert np.array_equal(one.weight_codes, other.weight_codes)


def feedback_by_hand(matrix: np.ndarray, seen: np.ndarray, books: list[np.ndarray]) -> np.ndarray:
    """Row by row: the nearest value of the column's codebook, and what is left as least squares gives it."""
    order = sorted(range(len(seen)), key=lambda column: -seen[column, column])
    found = np.zeros(matrix.shape)
    for row, weights in enumerate(matrix.astype(np.float64)):
        now = weights.copy()
        for place, column in enumerate(order):
            if weights[column] != 0:
                found[row, column] = min(books[column], key=lambda value: abs(value - now[column]))
            done, left = order[: place + 1], order[place + 1 :]
            if left:
                off = found[row, done] - weights[done]
                now[left] = weights[left] - off @ seen[np.ix_(done, left)] @ np.linalg.inv(seen[np.ix_(left, left)])
    return found


def test_errors_are_fed_back_across_groups() -> None:
    random = np.random.default_rng(2)
    matrix = (random.normal(size=(9, 10)) * np.repeat([1, 0.1], 5)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.3] = 0
    inputs = random.normal(size=(300, 10)) @ random.normal(size=(10, 10))
    seen = inputs.T @ inputs / 300
    found = share_matrix(matrix, seen[None], 10, np.arange(10) // 5, feedback=True)
    assert found.codebook.shape == (32,)
    books = [found.codebook[16 * (column // 5) + 1 :][:15].astype(np.float64) for column in range(10)]
    np.testing.assert_allclose(found.values, feedback_by_hand(matrix, dampened(seen, 10), books))


@pytest.mark.parametrize("sharing", ["weighted", "feedback", "scaled"])
def test_groups_lose_less_of_the_outputs(sharing: Sharing) -> None:
    inputs, module = samples(), two_layers()
    folded = fold(module, inputs)

    def error(columns: int) -> float:
        found = to_module(share_layers(folded, inputs=inputs.numpy(), sharing=sharing, codebook_columns=columns))
        return float((found(inputs) - module(inputs)).square().mean().detach())

    assert error(COLUMNS) < 0.7 * error(0)


def tuned(network: nn.Module) -> list[SharedLinear]:
    return [one for one in network.modules() if isinstance(one, SharedLinear)]


def test_training_moves_the_centroids_of_each_group() -> None:
    """The gradient of a centroid is the sum of those of its group's weights; zeros stay zeros."""
    layers = shared()
    network = trainable_network(layers)
    network(samples()).square().sum().backward()
    plain = to_module(layers)
    plain(samples()).square().sum().backward()
    linears = [one for one in plain.modules() if isinstance(one, nn.Linear)]
    for layer, trained, linear in zip(layers, tuned(network), linears, strict=True):
        wanted = np.zeros(len(layer.codebook))
        np.add.at(wanted, layer.weight_places, linear.weight.grad.numpy())
        np.add.at(wanted, layer.bias_places, linear.bias.grad.numpy())
        wanted = np.delete(wanted, np.arange(0, len(wanted), 16))
        assert trained.centroids.grad.numpy() == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    with torch.no_grad():
        for layer in tuned(network):
            layer.centroids *= 2
    for before, after in zip(layers, with_trained_codebooks(layers, network), strict=True):
        assert np.array_equal(after.codebook, 2 * before.codebook)


def test_the_golden_model_computes_what_codes_and_codebooks_say() -> None:
    """Two layers in integers, weight by weight; the bias has the codebook of the last input."""
    random = np.random.default_rng(3)
    table = tuple(
        EieLayer(
            inputs=inputs,
            outputs=outputs,
            relu=relu,
            bias=True,
            input_fraction=4,
            weight_fraction=6,
            output_fraction=4,
        )
        for inputs, outputs, relu in ((11, 16, True), (16, 5, False))
    )
    codes = [random.integers(0, 16, (layer.outputs, layer.columns), np.uint8) for layer in table]
    books = random.integers(-90, 90, (2, 4, 16)).astype(np.int16)
    books[:, :, 0] = 0
    geometry = EieGeometry(pes=2, codebook_columns=4, codebook_groups=4)
    network = assemble(geometry, table, codes, books.reshape(2, 64))
    inputs = random.integers(-100, 100, (6, 11)).astype(np.int16)
    for image, found in zip(inputs, golden.outputs(network, inputs), strict=True):
        values = [int(value) for value in image]
        for number, layer in enumerate(table):
            given = [*values, 16]
            values = []
            for row in codes[number]:
                total = 0
                for column, code in enumerate(row):
                    group = min(column, layer.inputs - 1) // 4
                    total += int(books[number, group, code]) * given[column]
                value = round(total / 64)
                values.append(max(value, 0) if layer.relu else value)
        assert found.tolist() == values


@pytest.mark.parametrize("balance_load", [False, True])
def test_compiled_it_stays_within_its_bound(balance_load: bool) -> None:
    network = compiled(balance_load=balance_load)
    assert (network.geometry.codebook_groups, network.geometry.codebook_columns) == (4, COLUMNS)
    assert_close(shared(), network, samples(), within=0.01)
    plain = compiled()
    given = quantise_inputs(plain, samples().numpy())[0]
    assert np.array_equal(golden.outputs(network, given), golden.outputs(plain, given))


def test_rows_stay_in_the_group_of_the_next_layer() -> None:
    random = np.random.default_rng(4)
    weights = random.random((30, 50)) < 0.3
    for frequencies in (random.random(50), np.ones(50)):
        places = assign_rows(weights, frequencies, 4, block=COLUMNS)
        assert sorted(places.tolist()) == list(range(30))
        assert np.array_equal(places // COLUMNS, np.arange(30) // COLUMNS)
        assert not np.array_equal(places, np.arange(30))


class Mixed(nn.Module):
    """A convolution in front of a layer of 36 inputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv, self.last = nn.Conv2d(2, 4, 2), nn.Linear(36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.conv(x)).flatten(1))


def test_a_convolution_keeps_one_codebook() -> None:
    """Whatever the columns of its start; the layer behind it has five."""
    inputs = torch.randn(20, 2, 4, 4, generator=torch.Generator().manual_seed(6))
    folded = fold(Mixed(), inputs)
    parts = share_layers(folded, inputs=inputs.numpy(), codebook_columns=COLUMNS)
    network = compile_network(parts, inputs.numpy(), GROUPED, fit=FITTED)
    assert isinstance(network.stages[0], ConvStage)
    assert network.stages[0].together > 1
    assert network.geometry.codebook_groups == 8
    books = network.codebooks.reshape(2, 8, 16)
    assert np.array_equal(books[0], np.broadcast_to(books[0, 0], (8, 16)))
    assert [len(np.unique(books[1, group])) > 1 for group in range(8)] == [True] * 5 + [False] * 3
    assert_close(parts, network, inputs, within=0.01)


def test_a_file_keeps_the_groups(tmp_path: Path) -> None:
    network = compiled()
    bundle.save(network, tmp_path / "network.zs")
    again = bundle.load(tmp_path / "network.zs")
    assert again.geometry == network.geometry
    given = quantise_inputs(again, samples().numpy())[0]
    assert np.array_equal(golden.outputs(again, given), golden.outputs(network, given))


def test_one_codebook_a_layer_is_the_file_of_before(tmp_path: Path) -> None:
    """Also where no layer has more columns than a group."""
    inputs = samples().numpy()
    for name, columns in (("plain", 0), ("wide", 32)):
        core = EieSettings(geometry=EieGeometry(pes=4, codebook_columns=columns))
        CORE.save(CORE.compile(two_layers(), inputs, core), tmp_path / f"{name}.zs")
    assert (tmp_path / "plain.zs").read_bytes() == (tmp_path / "wide.zs").read_bytes()
    header, tensors = contents_of(tmp_path / "plain.zs")
    assert not {"codebook_groups", "codebook_columns"} & set(header["geometry"])
    assert tensors["codebooks"].shape == (2, 16)


def without_columns(header: dict[str, Any], tensors: dict[str, Any]) -> None:
    del header["geometry"]["codebook_columns"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda header, tensors: header["geometry"].update(codebook_groups=3),
            "geometry: codebook_groups must be a power of two from 1 to 64, not 3",
        ),
        (
            lambda header, tensors: header["geometry"].update(codebook_groups=2),
            "codebooks must be int16 of 2 x 32, not int16 of (2, 64)",
        ),
        (without_columns, "geometry: codebook_columns must be a power of two where codebook_groups is 4, not 0"),
        (
            lambda header, tensors: header["geometry"].update(codebook_columns=4),
            "layers[0].inputs must be at most 16, 4 groups (codebook_groups) of 4 (codebook_columns), not 20",
        ),
        (
            lambda header, tensors: tensors["codebooks"].__setitem__((1, 32), 5),
            "codebooks[1, 32] must be zero, not 5",
        ),
    ],
)
def test_damaged_fields_of_a_file(
    tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object], message: str
) -> None:
    bundle.save(compiled(), tmp_path / "network.zs")
    forge(tmp_path / "network.zs", change)
    with pytest.raises(BundleError, match=re.escape(message)):
        bundle.load(tmp_path / "network.zs")


def test_other_codebooks_of_a_convolution_in_a_file(tmp_path: Path) -> None:
    inputs = torch.randn(20, 2, 4, 4).numpy()
    core = EieSettings(geometry=GROUPED)
    CORE.save(CORE.compile(Mixed(), inputs, core), tmp_path / "network.zs")
    forge(tmp_path / "network.zs", lambda header, tensors: tensors["codebooks"].__setitem__((0, 17), 5))
    with pytest.raises(BundleError, match=re.escape("codebooks[0] must be the same for all groups")):
        bundle.load(tmp_path / "network.zs")


def test_more_groups_than_the_array_has() -> None:
    """Told before any work, with what would do."""
    fixed = dataclasses.replace(GROUPED, codebook_groups=2)
    message = (
        "codebook_groups must be at least 3 for layer 0, whose 20 inputs are 3 groups of 8, not 2: codebook_columns = "
        "16 would do, or codebook_groups = 4 would hold them"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        compile_network(shared(), samples().numpy(), fixed)
    told: list[str] = []
    own = zeroskip.EieCompileSettings(pes=4, density=0.5, codebook_columns=8, codebook_groups=2)
    data = Dataset(
        name="made up",
        train_inputs=samples().numpy(),
        train_labels=np.zeros(40, np.int64),
        test_inputs=samples().numpy(),
        test_labels=np.zeros(40, np.int64),
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        zeroskip.compile(
            two_layers(),
            data,
            settings=zeroskip.CompileSettings(own=own),
            progress=lambda step: told.append(step.task),
        )
    assert not {"training", "sharing weights"} & set(told)
    wide = [Linear(inputs=8 * 65, outputs=1, relu=False)]
    with pytest.raises(ValueError, match=r"65 groups of 8, not 64: codebook_columns = 16 would do$"):
        with_groups(GROUPED, wide, FITTED)


def test_what_does_not_agree() -> None:
    with pytest.raises(
        ValueError, match="codebook_columns of the array must be the 8 by which layer 0 was shared, not 16"
    ):
        compile_network(shared(), samples().numpy(), dataclasses.replace(GROUPED, codebook_columns=16), fit=FITTED)
    layer = EieLayer(
        inputs=20, outputs=1, relu=False, bias=False, input_fraction=0, weight_fraction=0, output_fraction=0
    )
    small = EieGeometry(pes=1, codebook_columns=8, codebook_groups=2)
    with pytest.raises(FitError, match=re.escape("layers[0].inputs must be at most 16, 2 groups")):
        assemble(
            small, (layer,), [np.ones((1, 20), np.uint8)], np.zeros((1, 32), np.int16), (LinearStage(first=0, last=0),)
        )
    with pytest.raises(ValueError, match="codebook_columns must be 0 for a convolution, not 8"):
        SharedConv(
            codebook=np.zeros(16, np.float32),
            weight_codes=np.zeros((1, 4), np.uint8),
            bias_codes=None,
            relu=False,
            codebook_columns=8,
            kernel=(2, 2),
            stride=(1, 1),
            padding=(0, 0),
            groups=1,
        )
    with pytest.raises(ValueError, match=re.escape("codebook must be float32 (48,), not float32 (16,)")):
        SharedLayer(
            codebook=np.zeros(16, np.float32),
            weight_codes=np.zeros((1, 20), np.uint8),
            bias_codes=None,
            relu=False,
            codebook_columns=8,
        )
