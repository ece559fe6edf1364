import re
from collections.abc import Callable

import pytest
import torch
from torch import nn

from zeroskip.model.networks import lstm, mobilenet_v1, plain_20, resnet_20, resnet_56
from zeroskip.model.networks.blocks import BasicBlock
from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.pruning.training import TrainingSettings, train


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def without_shortcuts(module: nn.Module) -> int:
    shortcuts = [part.shortcut for part in module.modules() if isinstance(part, BasicBlock)]
    return parameters(module) - sum(parameters(shortcut) for shortcut in shortcuts)


def macs(module: nn.Module, size: int) -> int:
    """Multiplications of one image of size x size, counted as they happen."""
    counts = []

    def count(layer: nn.Module, _: object, outputs: torch.Tensor) -> None:
        weight = layer.get_parameter("weight")
        counts.append(outputs.numel() * weight.numel() // weight.shape[0])

    for layer in prunable_layers(module).values():
        layer.register_forward_hook(count)
    with torch.no_grad():
        module.eval()(torch.zeros(1, 3, size, size))
    return sum(counts)


def test_he_et_als_networks_have_the_published_sizes() -> None:
    # Table 6 of He et al. (CVPR 2016): 0.27M and 0.85M, with shortcuts that have no parameters.
    assert parameters(plain_20()) == without_shortcuts(resnet_20()) == 269_722
    assert without_shortcuts(resnet_56()) == 853_018
    # Two 1x1 convolutions with batch normalisation.
    assert parameters(resnet_20()) - 269_722 == parameters(resnet_56()) - 853_018 == 16 * 32 + 32 * 64 + 2 * (32 + 64)
    # HRank (Lin et al., CVPR 2020, table 3) counts 125.49 million for ResNet-56; a shortcut adds 32 x 16 x 16 x 16.
    assert round((macs(resnet_56(), 32) - 2 * 32 * 16**3) / 1e6, 2) == 125.49
    assert [len(prunable_layers(network())) for network in (plain_20, resnet_20, resnet_56)] == [20, 22, 58]


@pytest.mark.parametrize(
    ("width", "size", "mega_macs", "mega_parameters"),
    # Tables 6 and 7 of Howard et al. (2017).
    [(1.0, 224, 569, 4.2), (0.75, 224, 325, 2.6), (0.5, 224, 149, 1.3), (0.25, 224, 41, 0.5), (1.0, 128, 186, 4.2)],
)
def test_mobilenet_has_the_published_sizes(width: float, size: int, mega_macs: int, mega_parameters: float) -> None:
    network = mobilenet_v1(width=width)
    assert round(macs(network, size) / 1e6) == mega_macs
    assert round(parameters(network) / 1e6, 1) == mega_parameters


NETWORKS = [plain_20, resnet_20, resnet_56, mobilenet_v1]


@pytest.mark.parametrize("make", NETWORKS)
def test_width_channels_classes_and_resolution_are_free(make: Callable[..., nn.Sequential]) -> None:
    network = make(width=0.25, inputs=1, classes=7).eval()
    for size in (28, 33):
        outputs = network(torch.randn(2, 1, size, size + 4))
        assert outputs.shape == (2, 7)
        assert outputs.isfinite().all()
    first = next(iter(prunable_layers(network).values()))
    assert first.weight.shape[:2] == ((4 if make is not mobilenet_v1 else 8), 1)
    with pytest.raises(ValueError, match=r"^width must be above 0 and finite, not 0$"):
        make(width=0)


@pytest.mark.parametrize("make", NETWORKS)
def test_weights_depend_on_the_seed_alone(make: Callable[..., nn.Sequential]) -> None:
    torch.manual_seed(1)
    one = make(width=0.25, seed=3).state_dict()
    state = torch.get_rng_state()
    again, other = make(width=0.25, seed=3).state_dict(), make(width=0.25, seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])


def test_shortcuts_carry_what_the_body_does_not() -> None:
    same, changed = BasicBlock(4, 4, 1).eval(), BasicBlock(4, 6, 2).eval()
    images = torch.randn(2, 4, 5, 5)
    for block in (same, changed):
        nn.init.zeros_(block.body[3].weight)
    assert torch.equal(same(images), images.relu())
    assert torch.equal(changed(images), changed.shortcut(images).relu())
    assert changed(images).shape == (2, 6, 3, 3)


def test_activations_neither_vanish_nor_grow_through_56_layers() -> None:
    outputs = resnet_56(width=0.5, seed=1)(torch.randn(8, 3, 32, 32)).detach()
    assert 0.01 < outputs.std().item() < 100
    # He's start: variance 2 / (9 x outputs).
    weight = resnet_56()[0].weight.detach()
    assert weight.var().item() == pytest.approx(2 / (9 * 16), rel=0.2)


def test_mobilenet_for_small_images_keeps_their_pixels_once_longer() -> None:
    images = torch.randn(1, 3, 32, 32)
    small, large = (mobilenet_v1(width=0.1, first_stride=stride).eval() for stride in (1, 2))
    assert small[0](images).shape[2:] == (32, 32)
    assert small[:-3](images).shape[2:] == (2, 2)
    assert large[:-3](images).shape[2:] == (1, 1)
    with pytest.raises(ValueError, match=f"^{re.escape('first_stride must be 1 or 2, not 3')}$"):
        mobilenet_v1(first_stride=3)


@pytest.mark.parametrize("make", [plain_20, resnet_20, mobilenet_v1])
def test_narrow_ones_learn(make: Callable[..., nn.Sequential]) -> None:
    torch.manual_seed(0)
    labels = torch.randint(3, (96,))
    # The class is where the image is bright.
    images = torch.rand(96, 1, 12, 12)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 4 * label : 4 * label + 4] += 1
    network = make(width=0.2, inputs=1, classes=3)
    training = TrainingSettings(epochs=20, learning_rate=0.03, weight_decay=0, batch_size=16)
    losses: list[float] = []
    train(
        network,
        images,
        labels,
        training=training,
        optimizer=training.make_optimizer(network),
        seed=0,
        stage=0,
        on_epoch=lambda _, loss: losses.append(loss),
    )
    assert losses[-1] < 0.5 < losses[0]


def test_the_lstm_has_the_shapes_of_nt_lstm() -> None:
    """EIE, Table III: the four gates of 600 hidden values, from 600 inputs, 600 hidden values and the constant one, are
    a matrix of 1,201 x 2,400. Each character is scored from those before it."""
    network = lstm()
    gates = network.recurrent
    assert isinstance(gates, nn.LSTM)
    assert tuple(torch.cat((gates.weight_ih_l0, gates.weight_hh_l0), 1).T.shape) == (1200, 2400)
    assert parameters(network) == 96 * 600 + 2400 * (1200 + 2) + 96 * 601
    small, texts = lstm(width=8, seed=2), torch.tensor([[1.0, 5, 9, 2], [1, 5, 9, 3]])
    first, second = small(texts)
    assert first.shape == (4, 96)
    assert torch.equal(first[:3], second[:3])
    assert not torch.equal(first[3], second[3])
    assert torch.equal(small(texts), lstm(width=8, seed=2)(texts))
    assert not torch.equal(small(texts), lstm(width=8, seed=3)(texts))
