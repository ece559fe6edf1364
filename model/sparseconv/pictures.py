"""Pictures of sparse convolutions: where voxels are active, and how many pairs each element of a kernel has."""

from __future__ import annotations

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from zeroskip.model.sparseconv.functional import conv
from zeroskip.model.sparseconv.grouping import Grouping, padding_waste
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.tensor import SparseTensor

ACTIVE, ADDED, PADDING = "#1f6fb2", "#f0a35c", "#dfe6ec"


def of_dilation(coords: Tensor, layers: int = 3) -> Figure:
    """Active voxels of a scene with two axes after each of some 3 x 3 layers: ordinary ones above, submanifold below.

    `coords` are (N, 3), the batch index first. Voxels of the scene are blue, those that layers added are orange.
    """
    if coords.shape[1] != 3:
        raise ValueError(f"coords must be (N, 3), two axes and the batch index first, not {tuple(coords.shape)}")
    margin = layers + 1
    extents = (coords[:, 1:].amax(dim=0) + 2 * margin + 1).tolist()
    start = torch.tensor([0, margin, margin])
    scene = SparseTensor(torch.ones(len(coords), 1), coords + start, 1, (1, *extents))
    weight = torch.ones(9, 1, 1)
    figure = Figure(figsize=(2.3 * (layers + 1), 4.4), layout="constrained")
    rows = figure.subplots(2, layers + 1, squeeze=False)
    for submanifold, axes in zip((False, True), rows, strict=True):
        x = scene
        for number, panel in enumerate(axes):
            if number:
                x = conv(x, weight, 3, padding=1, submanifold=submanifold)
            _show_voxels(panel, scene.coords, x.coords, extents)
            steps = f"after {number} layer{'s' * (number > 1)}" if number else "the scene"
            panel.set_title(f"{steps}: {len(x):,} voxels", fontsize=8)
        axes[0].set_ylabel("submanifold" if submanifold else "ordinary", fontsize=9)
    return figure


def _show_voxels(axes: Axes, scene: Tensor, active: Tensor, extents: list[int]) -> None:
    image = torch.ones(*extents, 3)
    for coords, colour in ((active, ADDED), (scene, ACTIVE)):
        rgb = torch.tensor([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        image[coords[:, 1].long(), coords[:, 2].long()] = rgb
    axes.imshow(image.numpy(), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def of_map_sizes(kmap: KernelMap, grouping: Grouping) -> Figure:
    """The pairs of each element of a kernel as bars, in the colours of its groups; what padding adds is grey.

    Elements stand in the order in which groups are made. The centre of a submanifold kernel needs no gathering and is
    left out.
    """
    groups = grouping.groups(kmap.sizes, kmap.symmetric)
    offsets = kmap.geometry.offsets()
    order = [element for group in groups for element in group.elements]
    figure = Figure(figsize=(max(5.0, 1.5 + 0.32 * len(order)), 3.8), layout="constrained")
    axes = figure.subplots()
    palette = colormaps["tab10"]
    place = 0
    for number, group in enumerate(groups):
        sizes = [kmap.sizes[element] for element in group.elements]
        places = range(place, place + len(sizes))
        if group.batched:
            axes.bar(places, [max(sizes)] * len(sizes), color=PADDING, width=0.9)
        axes.bar(places, sizes, color=palette(number % 10), width=0.7)
        place += len(sizes)
    labels = [",".join(f"{step:+d}" if step else "0" for step in offsets[element]) for element in order]
    axes.set_xticks(range(len(order)), labels, rotation=90, fontsize=7)
    axes.set_xlabel("offset of the input from the output (x, y, z)")
    axes.set_ylabel("pairs")
    waste = padding_waste(groups, kmap.sizes)
    axes.set_title(
        f"{kmap.in_count:,} voxels, {len(groups)} groups ({grouping.kind}), padding {waste:.0%}", fontsize=9, loc="left"
    )
    axes.legend(handles=[Patch(color=PADDING, label="padding of batched groups")], frameon=False, fontsize=7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
