"""Train a MinkUNet to tell planes, spheres, boxes and poles in synthetic point clouds apart.

The network is written as for torchsparse; only the imports differ. It sees voxels without colour or height, so it has
to learn shapes. Ends with the accuracy on scenes that it has not seen.

Run it with: OMP_NUM_THREADS=1 python examples/minkunet.py

It takes less than a minute with one thread. With more it may take several minutes where other work keeps the machine
busy, because the threads wait for each other.
"""

import argparse

import torch
from rich.console import Console
from rich.progress import track
from torch import nn

import zeroskip.sparseconv as torchsparse
from zeroskip.model.data.voxel_scenes import CLASSES, voxel_scene
from zeroskip.sparseconv import SparseTensor
from zeroskip.sparseconv import nn as spnn
from zeroskip.sparseconv.utils.collate import sparse_collate_fn


def block(inputs: int, outputs: int, size: int, stride: int = 1, transposed: bool = False) -> nn.Sequential:
    convolution = spnn.Conv3d(inputs, outputs, size, stride, transposed=transposed)
    return nn.Sequential(convolution, spnn.BatchNorm(outputs), spnn.ReLU(True))


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(block(inputs, outputs, 3), spnn.Conv3d(outputs, outputs, 3), spnn.BatchNorm(outputs))
        self.shortcut = nn.Identity() if inputs == outputs else spnn.Conv3d(inputs, outputs, 1)
        self.relu = spnn.ReLU(True)

    def forward(self, x: SparseTensor) -> SparseTensor:
        return self.relu(self.main(x) + self.shortcut(x))


class MinkUNet(nn.Module):
    """Down two levels and up again; each level up joins what the way down had there."""

    def __init__(self, in_channels: int, classes: int, width: int = 16) -> None:
        super().__init__()
        self.stem = block(in_channels, width, 3)
        self.down1 = nn.Sequential(block(width, width, 2, 2), Residual(width, 2 * width))
        self.down2 = nn.Sequential(block(2 * width, 2 * width, 2, 2), Residual(2 * width, 4 * width))
        self.up1 = block(4 * width, 2 * width, 2, 2, transposed=True)
        self.fuse1 = Residual(4 * width, 2 * width)
        self.up0 = block(2 * width, width, 2, 2, transposed=True)
        self.fuse0 = Residual(2 * width, width)
        self.head = spnn.Conv3d(width, classes, 1, bias=True)

    def forward(self, x: SparseTensor) -> SparseTensor:
        level0 = self.stem(x)
        level1 = self.down1(level0)
        level2 = self.down2(level1)
        y = self.fuse1(torchsparse.cat([self.up1(level2), level1]))
        y = self.fuse0(torchsparse.cat([self.up0(y), level0]))
        return self.head(y)


class Scenes(torch.utils.data.Dataset):
    """Scenes with the seeds from `first` on; `collate_fn=sparse_collate_fn` makes batches of them."""

    def __init__(self, first: int, count: int, extent: int) -> None:
        self.scenes = [voxel_scene(seed, extent) for seed in range(first, first + count)]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, number: int) -> dict[str, SparseTensor]:
        scene = self.scenes[number]
        return {"input": SparseTensor(scene.feats, scene.coords), "label": SparseTensor(scene.labels, scene.coords)}


def confusion(network: nn.Module, loader: torch.utils.data.DataLoader) -> torch.Tensor:
    """(classes, classes): voxels by their label and by what the network says."""
    counts = torch.zeros(len(CLASSES) ** 2, dtype=torch.int64)
    network.eval()
    with torch.no_grad():
        for batch in loader:
            said = network(batch["input"]).F.argmax(dim=1)
            counts += torch.bincount(batch["label"].F * len(CLASSES) + said, minlength=len(counts))
    return counts.view(len(CLASSES), len(CLASSES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=48, help="scenes to train on")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--extent", type=int, default=48, help="width of a scene in voxels")
    parser.add_argument("--width", type=int, default=16, help="channels of the first level")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    train = torch.utils.data.DataLoader(
        Scenes(0, arguments.scenes, arguments.extent), batch_size=4, shuffle=True, collate_fn=sparse_collate_fn
    )
    test = torch.utils.data.DataLoader(
        Scenes(10_000, max(2, arguments.scenes // 4), arguments.extent), batch_size=4, collate_fn=sparse_collate_fn
    )
    network = MinkUNet(4, len(CLASSES), arguments.width)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    steps = arguments.epochs * len(train)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
    batches = (batch for _ in range(arguments.epochs) for batch in train)
    for batch in track(batches, "training", total=steps, console=Console(stderr=True)):
        network.train()
        loss = nn.functional.cross_entropy(network(batch["input"]).F, batch["label"].F)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    counts = confusion(network, test)
    for name, row, column in zip(CLASSES, counts, counts.T, strict=True):
        number = CLASSES.index(name)
        union = row.sum() + column.sum() - row[number]
        print(f"{name:7} {row.sum():6} voxels, {row[number] / row.sum():.1%} found, IoU {row[number] / union:.1%}")
    print(f"accuracy on scenes that it has not seen: {counts.trace() / counts.sum():.1%}")


if __name__ == "__main__":
    main()
