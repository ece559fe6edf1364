import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.fold import fold
from zeroskip.model.network.reading.supported import SUPPORTED


def settled(module: nn.Module) -> nn.Module:
    """Gives every BatchNorm statistics and parameters that matter."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean = torch.randn(part.num_features)
            part.running_var = torch.rand(part.num_features) + 0.1
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    return module


def shape(folded: nn.Sequential) -> list[str]:
    return [f"{m.in_features}x{m.out_features}" if isinstance(m, nn.Linear) else type(m).__name__ for m in folded]


class Forward(nn.Module):
    """A user's module: two Linear layers, a BatchNorm and a forward() of the test's own."""

    def __init__(self, forward: Callable[["Forward", Tensor], object]):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(12, 8), nn.Linear(8, 5)
        self.bn = nn.BatchNorm1d(8)
        self.scale = nn.Parameter(torch.ones(12))
        self._forward = forward

    def forward(self, x: Tensor) -> object:
        return self._forward(self, x)


ACCEPTED = {
    "linear": (nn.Linear(12, 5), ["12x5"]),
    "relu at the end": (nn.Sequential(nn.Linear(12, 5), nn.ReLU()), ["12x5", "ReLU"]),
    "two Linears in a row": (nn.Sequential(nn.Linear(12, 8), nn.Linear(8, 5)), ["12x8", "8x5"]),
    "double ReLU": (
        nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.ReLU(inplace=True), nn.Linear(8, 5)),
        ["12x8", "ReLU", "8x5"],
    ),
    "no-ops": (
        nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Identity(), nn.Linear(12, 5), nn.Dropout(), nn.Flatten()),
        ["12x5"],
    ),
    "batch norm behind": (
        nn.Sequential(nn.Linear(12, 8, bias=False), nn.Dropout(), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5)),
        ["12x8", "ReLU", "8x5"],
    ),
    "batch norm on the inputs, and one without parameters": (
        nn.Sequential(nn.BatchNorm1d(12), nn.BatchNorm1d(12, affine=False), nn.Linear(12, 5)),
        ["12x5"],
    ),
    "batch norm behind a ReLU": (
        nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 5, bias=False)),
        ["12x8", "ReLU", "8x5"],
    ),
    "batch norm between two ReLUs, and at the end": (
        nn.Sequential(nn.BatchNorm1d(12), nn.ReLU(), nn.BatchNorm1d(12), nn.ReLU(), nn.BatchNorm1d(12)),
        ["12x12", "ReLU", "12x12", "ReLU", "12x12"],
    ),
    "two batch norms behind": (
        nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5), nn.BatchNorm1d(5), nn.ReLU()),
        ["12x5", "ReLU"],
    ),
    "nested": (
        nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(12, 8)), nn.Sequential(nn.ReLU(), nn.Linear(8, 5))),
        ["12x8", "ReLU", "8x5"],
    ),
    "float64": (nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5)).double(), ["12x5"]),
    "the same layer twice": (
        Forward(lambda m, x: m.fc2(m.bn(F.relu(m.bn(m.fc1(x)))))),
        ["12x8", "ReLU", "8x5"],
    ),
}

FORWARDS: dict[str, Callable[[Forward, Tensor], object]] = {
    "F.relu": lambda m, x: m.fc2(F.relu(m.fc1(x))),
    "F.relu inplace": lambda m, x: m.fc2(F.relu(m.fc1(x), inplace=True)),
    "torch.relu": lambda m, x: m.fc2(torch.relu(m.fc1(x))),
    ".relu": lambda m, x: m.fc2(m.fc1(x).relu()),
    "flatten(1)": lambda m, x: m.fc2(m.fc1(x.flatten(1)).relu()),
    "torch.flatten": lambda m, x: m.fc2(m.fc1(torch.flatten(x, start_dim=1)).relu()),
    "view(-1, 12)": lambda m, x: m.fc2(m.fc1(x.view(-1, 12)).relu()),
    "view(size(0), -1)": lambda m, x: m.fc2(m.fc1(x.view(x.size(0), -1)).relu()),
    "view((size()[0], -1))": lambda m, x: m.fc2(m.fc1(x.view((x.size()[0], -1))).relu()),
    "reshape(shape[0], -1)": lambda m, x: m.fc2(m.fc1(x.reshape(x.shape[0], -1)).relu()),
    "torch.reshape": lambda m, x: m.fc2(m.fc1(torch.reshape(x, (x.shape[0], -1))).relu()),
    "F.dropout": lambda m, x: m.fc2(F.dropout(m.fc1(x), 0.5, training=m.training).relu()),
    "dead branch": lambda m, x: (torch.tanh(x), m.fc2(m.fc1(x).relu()))[1],
}


@pytest.mark.parametrize(
    ("module", "expected"),
    [pytest.param(*case, id=name) for name, case in ACCEPTED.items()]
    + [pytest.param(Forward(f), ["12x8", "ReLU", "8x5"], id=name) for name, f in FORWARDS.items()],
)
def test_folded_computes_the_same(module: nn.Module, expected: list[str]) -> None:
    torch.manual_seed(3)
    settled(module).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    folded = fold(module)
    assert shape(folded) == expected
    assert all(parameter.dtype == torch.float32 for parameter in folded.parameters())
    assert all(part.training for part in module.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())

    inputs = torch.randn(64, 12, dtype=torch.float64)
    wanted, found = module.double().eval()(inputs), folded.double()(inputs)
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_image_inputs_are_taken_flattened() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    images = torch.randn(4, 3, 2, 2)
    assert torch.equal(fold(module)(images.flatten(1)), module(images))


def test_a_bias_appears_only_where_folding_needs_it() -> None:
    folded = fold(
        settled(
            nn.Sequential(
                nn.Linear(6, 5, bias=False),
                nn.ReLU(),
                nn.Linear(5, 4, bias=False),
                nn.BatchNorm1d(4),
                nn.ReLU(),
                nn.BatchNorm1d(4),
                nn.Linear(4, 3, bias=False),
                nn.Linear(3, 3),
            )
        )
    )
    assert [m.bias is not None for m in folded if isinstance(m, nn.Linear)] == [False, True, True, True]


def test_weights_without_batch_norm_are_kept_exactly() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU())
    assert torch.equal(fold(module)[0].weight, module[1].weight)
    assert torch.equal(fold(module)[0].bias, module[1].bias)


class ConvNet(nn.Module):
    """A user's module with convolutions, pooled and flattened in forward()."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 3, padding="same"), nn.Conv2d(4, 6, (1, 2), groups=2, bias=False)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(4), nn.BatchNorm2d(6), nn.BatchNorm1d(54)
        self.fc = nn.Linear(54, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.relu(F.max_pool2d(self.bn2(self.conv2(x)), kernel_size=(2, 1), stride=1))
        return self.fc(self.bn3(torch.flatten(x, 1)))


CONVOLUTIONS = {
    "forward() with everything": (
        ConvNet(),
        ["Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "MaxPool2d", "Flatten", "54x5"],
    ),
    "a convolution alone": (nn.Conv2d(2, 3, 3, stride=2, padding=1), ["Conv2d", "Flatten"]),
    "pooling first": (
        nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Conv2d(2, 3, 2), nn.Dropout2d(), nn.Flatten(), nn.Linear(27, 2)),
        ["MaxPool2d", "Conv2d", "Flatten", "27x2"],
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str) -> None:
    torch.manual_seed(4)
    module, expected = CONVOLUTIONS[name]
    settled(module).eval()
    images = torch.randn(5, 2, 8, 8)
    folded = fold(module)
    assert shape(folded) == expected
    torch.testing.assert_close(folded(images), module(images).flatten(1), rtol=1e-4, atol=1e-5)


class Averages(nn.Module):
    """A user's module that ends in an average pooling of the test's own; behind it are 6 values."""

    def __init__(self, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 3)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(F.relu(self.bn(self.conv(x)))))


AVERAGES: dict[str, Callable[[Tensor], Tensor]] = {
    "AdaptiveAvgPool2d": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "AdaptiveAvgPool2d of a pair": nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Dropout(), nn.Flatten()),
    "F.adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 1).view(-1, 6),
    "mean": lambda x: x.mean((2, 3)),
    "mean from the end": lambda x: x.mean([-1, -2], keepdim=True).flatten(1),
    "torch.mean": lambda x: torch.mean(x, dim=(2, 3)),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_global_averages(name: str) -> None:
    torch.manual_seed(6)
    module = settled(Averages(AVERAGES[name])).eval()
    folded = fold(module)
    assert shape(folded) == ["Conv2d", "ReLU", "AdaptiveAvgPool2d", "Flatten", "6x3"]
    images = torch.randn(5, 2, 8, 7)
    torch.testing.assert_close(folded(images), module(images), rtol=1e-4, atol=1e-5)


POOLINGS = {
    "ReLU behind, where it is not the same as before": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.AvgPool2d(2), nn.ReLU()),
        ["Conv2d", "AvgPool2d", "ReLU", "Flatten"],
    ),
    "ReLU behind a max pooling behind it": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), nn.MaxPool2d(2), nn.ReLU()),
        ["Conv2d", "AvgPool2d", "ReLU", "MaxPool2d", "Flatten"],
    ),
    "batch norm behind, which changes places with it": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.AvgPool2d((2, 1), 1), nn.BatchNorm2d(3), nn.ReLU()),
        ["Conv2d", "AvgPool2d", "ReLU", "Flatten"],
    ),
    "batch norm behind what it is flattened to": (
        nn.Sequential(
            nn.Conv2d(2, 3, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.ReLU(),
            nn.Flatten(),
            nn.BatchNorm1d(3),
            nn.Linear(3, 2),
        ),
        ["Conv2d", "AdaptiveAvgPool2d", "ReLU", "Flatten", "3x2"],
    ),
    "first, with padding that counts": (
        nn.Sequential(nn.AvgPool2d(3, 2, padding=1), nn.ReLU(), nn.Conv2d(2, 3, 2)),
        ["AvgPool2d", "ReLU", "Conv2d", "Flatten"],
    ),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_average_pooling(name: str) -> None:
    torch.manual_seed(7)
    module, expected = POOLINGS[name]
    settled(module).eval()
    folded = fold(module)
    assert shape(folded) == expected
    images = torch.randn(5, 2, 8, 8)
    torch.testing.assert_close(folded(images), module(images).flatten(1), rtol=1e-4, atol=1e-5)


def test_functional_average_pooling() -> None:
    torch.manual_seed(8)
    module = settled(Averages(lambda x: F.avg_pool2d(x, 3, stride=2, padding=(1, 0)).mean((2, 3)))).eval()
    folded = fold(module)
    assert shape(folded) == ["Conv2d", "ReLU", "AvgPool2d", "AdaptiveAvgPool2d", "Flatten", "6x3"]
    images = torch.randn(5, 2, 8, 8)
    torch.testing.assert_close(folded(images), module(images), rtol=1e-4, atol=1e-5)


def spoiled(linear: nn.Linear, value: float) -> nn.Linear:
    with torch.no_grad():
        linear.weight[0, 0] = value
    return linear


def with_names(**modules: nn.Module) -> nn.Sequential:
    sequence = nn.Sequential()
    for name, module in modules.items():
        sequence.add_module(name, module)
    return sequence


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            with_names(features=nn.Sequential(nn.Conv3d(1, 2, 3)), fc=nn.Linear(2, 2)),
            f"layer 'features.0' is a Conv3d; supported: {SUPPORTED}",
        ),
        (nn.Sequential(nn.Linear(3, 3), nn.Softshrink()), f"layer '1' is a Softshrink; supported: {SUPPORTED}"),
        (
            nn.Sequential(nn.Flatten(0), nn.Linear(3, 3)),
            "layer '0' flattens dimensions 0 to -1; supported: 1 to -1",
        ),
        (
            nn.Sequential(nn.ReLU(), nn.Linear(3, 3)),
            "layer '0' is a ReLU before any Linear or Conv2d; it must follow one",
        ),
        (
            nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)),
            "layer '1' has no running statistics, so it has no fixed function in eval mode; supported: "
            "track_running_stats=True",
        ),
        (nn.Sequential(nn.Flatten()), "the network has no Linear or Conv2d; it must have at least one"),
        (
            nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(5, 2)),
            "layer '2' takes 5 values, but the step before it gives 3",
        ),
        (
            nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(4)),
            "layer '1' takes 4 values, but the step before it gives 3",
        ),
        (
            Forward(lambda m, x: m.fc1(x.view(-1, 6))),
            "layer 'fc1' takes 12 values, but the step before it gives 6",
        ),
        (
            nn.Sequential(nn.Linear(3, 3), spoiled(nn.Linear(3, 3), float("nan"))),
            "layer '1' has a weight that is not finite (NaN or infinity)",
        ),
        (
            nn.Sequential(spoiled(nn.Linear(3, 3).double(), 1e300)),
            "layer '0' has a folded weight that is not finite (NaN or infinity)",
        ),
        (
            Forward(lambda m, x: x + m.fc2(m.fc1(x))),
            "operation 'add' adds 12 values and 5; supported: as many of both",
        ),
        (
            Forward(lambda m, x: torch.cat([m.fc1(x), m.fc1(x)])),
            "operation 'cat' joins values along dimension 0; supported: 1, that of channels and values",
        ),
        (
            Forward(lambda m, x: (m.fc1(x), 0)),
            "the network must return the result of its last step, not (fc1, 0)",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2)),
            "layer '1' is a Linear on images; flatten them before it",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Conv2d(1, 2, 3)),
            "layer '1' is a Conv2d, but the step before it gives flat values",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.MaxPool2d(2)),
            "layer '1' is a MaxPool2d, but the step before it gives flat values",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(3, 2, 3)),
            "layer '1' takes 3 values, but the step before it gives 2",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm1d(2)),
            "layer '1' is a BatchNorm1d on images; flatten them before it",
        ),
        (
            nn.Sequential(nn.BatchNorm1d(1), nn.Conv2d(1, 2, 3)),
            "layer '1' is a Conv2d, but the step before it gives flat values",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")),
            "layer '0' pads by 'reflect'; supported: zeros (set padding_mode='zeros' and train again)",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 2, padding="same")),
            "layer '0' pads a kernel of 2 x 2 to the 'same' size, more on one side than on the other; supported: odd "
            "kernels, and padding given in numbers",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.LPPool2d(2, 2)),
            f"layer '1' is a LPPool2d; supported: {SUPPORTED}",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2, ceil_mode=True)),
            "layer '1' is an average pooling with ceil_mode = True; supported: False",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2, divisor_override=3)),
            "layer '1' is an average pooling with divisor_override = 3; supported: None",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(3, padding=1, count_include_pad=False)),
            "layer '1' is an average pooling with padding and count_include_pad = False; supported: True, which "
            "divides by the same number everywhere",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d((None, 1))),
            "layer '1' is an adaptive average pooling to (None, 1), which without samples of the input cannot be "
            "compiled; supported then: 1",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.AdaptiveAvgPool2d(1)),
            "layer '1' is a pooling, but the step before it gives flat values",
        ),
        (
            Forward(lambda m, x: m.fc1(x.mean(1))),
            "operation 'mean' is a mean over 1; supported without samples of the input: height and width, (2, 3) "
            "or (-2, -1)",
        ),
        (
            Forward(lambda m, x: m.fc1(torch.mean(x, (2, 3), dtype=torch.float64))),
            "operation 'mean' is a mean as torch.float64; supported: without a dtype",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
            "layer '3' takes 8 values, but the step before it gives 4",
        ),
        (TwoInputs(), "the network takes a second input 'y'; it must take one"),
        (Forward(lambda m, x: m.fc1(torch.exp(x))), f"operation 'exp' is exp; supported: {SUPPORTED}"),
        (Forward(lambda m, x: m.fc1(x.cos())), f"operation 'cos' is cos; supported: {SUPPORTED}"),
        (
            Forward(lambda m, x: m.fc1(x.view(-1, 3, 4))),
            "operation 'view' reshapes to (-1, 3, 4); supported: (samples, -1), (samples, width) "
            "and, for the factors of a product, (samples, width, 1, 1)",
        ),
        (
            Forward(lambda m, x: m.fc1(x.view(1, -1))),
            "operation 'view' reshapes to (1, -1); supported: (samples, -1), (samples, width) "
            "and, for the factors of a product, (samples, width, 1, 1)",
        ),
        (
            Forward(lambda m, x: m.fc1(torch.flatten(x))),
            "operation 'flatten' flattens dimensions 0 to -1; supported: 1 to -1",
        ),
        (
            Forward(lambda m, x: m.fc1(F.dropout(x))),
            "operation 'dropout' drops values in eval mode too; call it with training=self.training",
        ),
        (
            Forward(lambda m, x: m.fc1(x * m.scale)),
            "operation 'mul' is mul with the tensor 'scale'; only weights of layers that are called as layers are "
            f"supported: {SUPPORTED}",
        ),
        (
            Forward(lambda m, x: m.fc1(x) if x.sum() > 0 else x),
            "Forward cannot be traced (TraceError: symbolically traced variables cannot be used as inputs to "
            "control flow); its forward() must be a fixed sequence of layers, without decisions that depend "
            "on the input (those that depend on its shape need samples of the input)",
        ),
    ],
)
def test_what_cannot_be_folded_is_named(module: nn.Module, message: str) -> None:
    """The line of the forward() is named where the test has one."""
    place = r" \(\S*test_fold.py, line \d+\)" if isinstance(module, Forward) and "must return" not in message else ""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}{place}$"):
        fold(module)
    assert all(part.training for part in module.modules())


class InPlace(nn.Module):
    """Applies a ReLU whose result it does not use, but whose effect it does."""

    def __init__(self, operation: Callable[[torch.Tensor], torch.Tensor] | nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.operation = nn.Linear(4, 3), nn.Linear(3, 2), operation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        self.operation(x)
        return self.second(x)


@pytest.mark.parametrize(
    "operation",
    [nn.ReLU(inplace=True), torch.relu_, lambda x: x.relu_(), lambda x: F.relu(x, inplace=True)],
    ids=["module", "torch.relu_", "method", "functional"],
)
def test_refuses_in_place_operations_whose_result_is_not_used(operation: Callable[..., torch.Tensor]) -> None:
    message = r"^operation '\w+' changes its input in place, and its result is not used; use what it returns \(\S+, l"
    with pytest.raises(ValueError, match=message):
        fold(InPlace(operation))


def test_refuses_hooks() -> None:
    hooked = nn.Sequential(nn.Linear(4, 3))
    hooked[0].register_forward_hook(lambda module, inputs, output: output * 2)
    with pytest.raises(ValueError, match=r"^layer '0' \(Linear\) has forward hooks; remove them "):
        fold(hooked)


def test_computed_weights_stay_those_of_the_network() -> None:
    """Its copy for the compiler has plain ones; the network itself can be trained on."""
    network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    wanted = network(torch.eye(4)).detach()
    for _ in range(2):
        folded = fold(network)
        assert torch.allclose(folded(torch.eye(4)), wanted)
        assert nn.utils.parametrize.is_parametrized(network[0], "weight")
        assert len(list(network.parameters())) == 3


@pytest.mark.parametrize("padding", [1, "same", (0, 1)])
@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_refuses_other_padding_than_zeros_however_it_is_named(mode: str, padding: int | str | tuple[int, int]) -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3, padding=padding, padding_mode=mode))
    with pytest.raises(ValueError, match=f"^layer '0' pads by '{mode}'; supported: zeros"):
        fold(module)
    for nothing in (0, "valid"):
        plain = nn.Conv2d(2, 3, 3, padding=nothing, padding_mode=mode)
        images = torch.randn(2, 2, 6, 6)
        torch.testing.assert_close(fold(plain)(images), plain(images).flatten(1))
