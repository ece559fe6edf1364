"""Building blocks of convolutional networks."""

from torch import Tensor, nn


def channels(base: int, width: float) -> int:
    """`base` channels times a width factor, rounded, at least 1."""
    if not 0 < width < float("inf"):
        raise ValueError(f"width must be above 0 and finite, not {width}")
    return max(1, round(base * width))


def convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution, whose outputs have the height and width of its inputs divided by `stride` (rounded up), and batch
    normalisation."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def classifier(inputs: int, classes: int) -> list[nn.Module]:
    """Global average pooling, so that images may have any size, and a Linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them (He et al., CVPR 2016, figure 2).

    (n, inputs, h, w) to (n, outputs, h / stride, w / stride), rounded up. The shortcut is the identity, or, if the
    shape changes, a 1x1 convolution with batch normalisation (the paper's option B).
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            *convolution(inputs, outputs, 3, stride=stride), nn.ReLU(), *convolution(outputs, outputs, 3)
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(inputs, outputs, 1, stride=stride))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))
