"""Networks whose results are images: decoders, segmentation, super-resolution, restoration."""

from __future__ import annotations

import torch
from support.zoo.entry import Entry
from torch import Tensor, nn
from torch.nn import functional as F


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for taken in (inputs, outputs):
        layers += [nn.Conv2d(taken, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder1, self.pool1 = _double(1, 4), nn.MaxPool2d(kernel_size=2, stride=2)
        self.encoder2, self.pool2 = _double(4, 8), nn.MaxPool2d(kernel_size=2, stride=2)
        self.bottleneck = _double(8, 16)
        self.upconv2, self.decoder2 = nn.ConvTranspose2d(16, 8, kernel_size=2, stride=2), _double(16, 8)
        self.upconv1, self.decoder1 = nn.ConvTranspose2d(8, 4, kernel_size=2, stride=2), _double(8, 4)
        self.conv = nn.Conv2d(4, 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        enc1 = self.encoder1(x)
        enc2 = self.encoder2(self.pool1(enc1))
        dec2 = self.upconv2(self.bottleneck(self.pool2(enc2)))
        dec2 = self.decoder2(torch.cat((dec2, enc2), dim=1))
        dec1 = self.decoder1(torch.cat((self.upconv1(dec2), enc1), dim=1))
        return torch.sigmoid(self.conv(dec1))


class FullyConvolutional(nn.Module):
    """The head of FCN on a small backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, padding=1))
        self.classifier = nn.Sequential(
            nn.Conv2d(16, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(4, 5, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        input_shape = x.shape[-2:]
        x = self.classifier(F.relu(self.backbone(x)))
        return F.interpolate(x, size=input_shape, mode="bilinear", align_corners=False)


class SuperResolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, (5, 5), (1, 1), (2, 2)), nn.Conv2d(8, 8, (3, 3), (1, 1), (1, 1))
        self.conv3, self.conv4 = nn.Conv2d(8, 4, (3, 3), (1, 1), (1, 1)), nn.Conv2d(4, 4, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        x = self.relu(self.conv3(x))
        return self.pixel_shuffle(self.conv4(x))


def _fsrcnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=5, padding=2),
        nn.PReLU(8),
        nn.Conv2d(8, 4, kernel_size=1),
        nn.PReLU(4),
        nn.Conv2d(4, 4, kernel_size=3, padding=1),
        nn.PReLU(4),
        nn.Conv2d(4, 8, kernel_size=1),
        nn.PReLU(8),
        nn.ConvTranspose2d(8, 1, kernel_size=9, stride=2, padding=4, output_padding=1),
    )


def _generator() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(10, 16, 4, 1, 0, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(True),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(True),
        nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(3, 8, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 16, 4, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(16, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x).view(-1, 1).squeeze(1).unsqueeze(1)


class DnCNN(nn.Module):
    """It gives the image without the noise that it finds."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)]
        self.dncnn = nn.Sequential(*layers, nn.Conv2d(8, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.dncnn(x)


class AutoEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc21 = nn.Linear(64, 32), nn.Linear(32, 6)
        self.fc3, self.fc4 = nn.Linear(6, 32), nn.Linear(32, 64)

    def forward(self, x: Tensor) -> Tensor:
        mu = self.fc21(F.relu(self.fc1(x.view(-1, 64))))
        return torch.sigmoid(self.fc4(F.relu(self.fc3(mu))))


class StyleBlock(nn.Module):
    """A residual block of fast neural style: reflection padding and instance normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv1, self.in1 = nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True)
        self.conv2, self.in2 = nn.Conv2d(8, 8, 3), nn.InstanceNorm2d(8, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.in1(self.conv1(self.pad(x))))
        return out + self.in2(self.conv2(self.pad(out)))


_EXAMPLES = "pytorch/examples, "

PICTURES = (
    Entry(name="U-Net", source="mateuszbuda/brain-segmentation-pytorch, unet.py", make=UNet, shape=(1, 16, 16)),
    Entry(
        name="FCN",
        source="pytorch/vision, torchvision/models/segmentation/fcn.py",
        make=FullyConvolutional,
        shape=(3, 16, 16),
    ),
    Entry(name="ESPCN", source=f"{_EXAMPLES}super_resolution/model.py", make=SuperResolution, shape=(1, 12, 12)),
    Entry(name="FSRCNN", source="yjn870/FSRCNN-pytorch, models.py", make=_fsrcnn, shape=(1, 8, 8)),
    Entry(name="DCGAN, generator", source=f"{_EXAMPLES}dcgan/main.py", make=_generator, shape=(10, 1, 1)),
    Entry(name="DCGAN, discriminator", source=f"{_EXAMPLES}dcgan/main.py", make=Discriminator, shape=(3, 16, 16)),
    Entry(name="DnCNN", source="Zhang et al., IEEE TIP 2017", make=DnCNN, shape=(1, 12, 12)),
    Entry(name="VAE, without chance", source=f"{_EXAMPLES}vae/main.py", make=AutoEncoder, shape=(1, 8, 8)),
    Entry(
        name="fast neural style, a block",
        source=f"{_EXAMPLES}fast_neural_style/neural_style/transformer_net.py",
        make=StyleBlock,
        shape=(3, 10, 10),
    ),
)
