"""Lowering: stages, the sources of the layer table's rows, and the words in which a wrong shape is refused."""

import re

import numpy as np
import pytest
from support.tile_networks import averaging, conv
from torch import nn

from zeroskip.model.cores import CORES, load_core
from zeroskip.model.network.fold import fold
from zeroskip.model.network.folded import operations
from zeroskip.model.network.lower import block_diagonal, lower
from zeroskip.model.network.stages import kind_name, shapes


def _lowered(module: nn.Module, shape: tuple[int, ...]):
    return lower([operation for operation, _ in operations(fold(module))], shape)


def test_convolutions_and_poolings_are_stages_of_their_own() -> None:
    lowered = _lowered(conv(), (1, 12, 12))

    assert [kind_name(stage) for stage in lowered.stages] == ["conv", "max pool", "conv", "conv", "linear"]
    assert lowered.sources == (0, 2, 3, 4)
    assert [stage.groups for stage in lowered.stages if kind_name(stage) == "conv"] == [1, 1, 2]


def test_linear_layers_that_follow_one_another_share_a_stage() -> None:
    lowered = _lowered(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (1, 2, 2))

    (stage,) = lowered.stages
    assert list(stage.layers) == [0, 1]


def test_average_pooling_is_a_convolution_with_a_group_for_each_channel() -> None:
    lowered = _lowered(averaging(), (1, 8, 8))

    assert len(lowered.sources) == 7
    assert [stage.groups for stage in lowered.stages if kind_name(stage) == "conv"][:2] == [1, 4]


def test_rows_of_groups_stand_on_the_diagonal() -> None:
    matrix = block_diagonal(np.array([[1, 2], [3, 4]]), 2)

    assert matrix.tolist() == [[1, 2, 0, 0], [0, 0, 3, 4]]


@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (conv(), (144,), "inputs must be samples x channels x height x width, as the network takes, not samples x 144"),
        (conv(), (2, 12, 12), "layer 0 must have images of 1 channels, not 2, at its input"),
        (conv(), (1, 14, 14), "layer 3 takes 32 values, but these inputs make it 8 x 3 x 3"),
        (conv(), (1, 3, 3), "operation 2 of the network: kernel 3 x 3 must fit into the 1 x 1 of its input"),
        (nn.Linear(4, 2), (5,), "inputs must have 4 values a sample, as the network takes, not 5"),
    ],
)
def test_every_core_refuses_a_wrong_shape_in_the_same_words(
    name: str, module: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    core = load_core(name)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        core.compile(module, np.zeros((2, *shape), np.float32), core.settings_type())


def test_shapes_of_a_lowered_network_are_those_of_torch() -> None:
    core = load_core(next(iter(CORES)))
    network = core.compile(conv(), np.zeros((1, 1, 12, 12), np.float32), core.settings_type())

    assert shapes(network.stages, network.layers) == ["1x12x12", "8x12x12", "8x6x6", "12x2x2", "8x2x2", "7"]
