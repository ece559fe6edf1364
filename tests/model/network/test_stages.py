"""What the host moves between stages, against torch; and what each stage starts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from zeroskip.model.network.stages import ConvStage, LinearStage, MaxPoolStage

WINDOWS = [
    {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"kernel": (2, 3), "stride": (1, 3), "padding": (0, 1)},
    {"kernel": (1, 1), "stride": (1, 2), "padding": (0, 0)},
    {"kernel": (2, 3), "stride": (1, 2), "padding": (1, 1), "dilation": (3, 2)},
]
IMAGES = torch.randint(-9, 10, (4, 3, 7, 8), generator=torch.Generator().manual_seed(1))


def test_layers_and_starts() -> None:
    """Pooling is the host's: it starts nothing, and has no layer."""
    window = {"channels": 3, "height": 7, "width": 8, **WINDOWS[0]}
    linear, conv, pool = LinearStage(first=2, last=4), ConvStage(**window, layer=5), MaxPoolStage(**window)
    assert [list(stage.layers) for stage in (linear, conv, pool)] == [[2, 3, 4], [5], []]
    assert [stage.starts for stage in (linear, conv, pool)] == [1, 4 * 7, 0]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_convolution_gathers_patches_and_scatters_images(window: dict[str, tuple[int, int]]) -> None:
    stage = ConvStage(channels=3, height=7, width=8, layer=0, **window)
    flat = IMAGES.flatten(1).numpy()
    patches = F.unfold(IMAGES.double(), **{"kernel_size": window["kernel"], **without_kernel(window)})
    assert np.array_equal(stage.gather(flat), patches.mT.flatten(0, 1).long().numpy())
    weight = torch.randint(-3, 4, (5, 3, *window["kernel"]), generator=torch.Generator().manual_seed(2))
    rows = stage.gather(flat) @ weight.flatten(1).numpy().T
    expected = F.conv2d(IMAGES.double(), weight.double(), **without_kernel(window))
    assert np.array_equal(stage.scatter(rows), expected.flatten(1).long().numpy())


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_max_pooling_is_torchs(window: dict[str, tuple[int, int]], kind: type) -> None:
    """Of negative values too: what pads is below all of them."""
    stage = MaxPoolStage(channels=3, height=7, width=8, **window)
    images = IMAGES - 10
    expected = F.max_pool2d(images.double(), window["kernel"], **without_kernel(window))
    found = stage.scatter(stage.gather(images.flatten(1).numpy().astype(kind)))
    assert np.array_equal(found, expected.flatten(1).numpy())


@pytest.mark.parametrize("size", [(5, 9), (6, 4), (7, 4)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (2, 0), (2, 1), (3, 1)])
def test_windows_over_the_edge_are_torchs(
    size: tuple[int, int], stride: int, dilation: int, kernel: int, padding: int
) -> None:
    """ceil_mode, also where the last window would begin behind the image; and what torch refuses is refused."""
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3))
    window = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": True}
    pairs = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    fields = {name: (value, value) for name, value in pairs.items()}
    if dilation * (kernel - 1) + 1 - min(size) - 2 * padding >= stride:
        with pytest.raises(ValueError, match="must fit into"):
            MaxPoolStage(channels=3, height=size[0], width=size[1], ceil=True, **fields)
        return
    expected = F.max_pool2d(images, kernel, **window)
    stage = MaxPoolStage(channels=3, height=size[0], width=size[1], ceil=True, **fields)
    assert stage.out_size == expected.shape[2:]
    assert np.array_equal(stage.scatter(stage.gather(images.flatten(1).numpy())), expected.flatten(1).numpy())


def without_kernel(window: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {name: value for name, value in window.items() if name != "kernel"}
