"""The pictures show the numbers that they name."""

from __future__ import annotations

import matplotlib.colors
import pytest
import torch
from support.voxels import scene

from zeroskip.model.sparseconv.grouping import Grouping
from zeroskip.model.sparseconv.maps import submanifold_map
from zeroskip.model.sparseconv.pictures import ACTIVE, ADDED, PADDING, of_dilation, of_map_sizes


def test_one_voxel_becomes_a_square() -> None:
    """Ordinary layers of size 3 make squares of 1, 3, 5 and 7 voxels; submanifold ones keep the voxel."""
    figure = of_dilation(torch.tensor([[0, 4, 9]]), layers=3)
    titles = [axes.get_title() for axes in figure.axes]
    assert [int(title.split(": ")[1].split()[0]) for title in titles] == [1, 9, 25, 49, 1, 1, 1, 1]
    assert [axes.get_ylabel() for axes in figure.axes[::4]] == ["ordinary", "submanifold"]
    for axes, side in zip(figure.axes, (1, 3, 5, 7, 1, 1, 1, 1), strict=True):
        image = axes.images[0].get_array()
        colours = {name: matplotlib.colors.to_rgb(name) for name in (ACTIVE, ADDED)}
        shown = {name: int((abs(image - colour) < 1e-3).all(axis=-1).sum()) for name, colour in colours.items()}
        assert shown == {ACTIVE: 1, ADDED: side**2 - 1}


def test_bars_are_the_sizes_of_maps() -> None:
    coords = scene(torch.Generator().manual_seed(1), [0], [9, 9, 3], 0.5)
    kmap = submanifold_map(coords, (3, 3, 3), (1, 1, 1))
    axes = of_map_sizes(kmap, Grouping(kind="symmetric")).axes[0]
    rows = {tuple(row) for row in coords[:, 1:].tolist()}
    wanted = {}
    for element in range(27):
        offset = (element % 3 - 1, element // 3 % 3 - 1, element // 9 - 1)
        name = ",".join(f"{step:+d}" if step else "0" for step in offset)
        wanted[name] = sum((x + offset[0], y + offset[1], z + offset[2]) in rows for x, y, z in rows)
    del wanted["0,0,0"]
    bars = [bar for bar in axes.patches if bar.get_facecolor() != matplotlib.colors.to_rgba(PADDING)]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert {name: bar.get_height() for name, bar in zip(names, bars, strict=True)} == wanted
    # Mirror images have equal sizes: one colour each pair, and nothing is padded.
    assert [bar.get_facecolor() for bar in bars[::2]] == [bar.get_facecolor() for bar in bars[1::2]]
    assert axes.get_title(loc="left") == f"{len(coords)} voxels, 13 groups (symmetric), padding 0%"


def test_a_scene_with_three_axes() -> None:
    with pytest.raises(ValueError, match=r"must be \(N, 3\)"):
        of_dilation(torch.zeros(1, 4, dtype=torch.int32))
