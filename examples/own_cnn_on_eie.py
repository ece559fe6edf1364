"""Your own CNN on the EIE array: train it, prune it, compile it, and run it on the RTL.

Copy this file, and replace the class `Net` and the data with your own. On the RTL, every output bit must equal the
golden model and every cycle count the cycle model.

Run it with: python examples/own_cnn_on_eie.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import zeroskip


class Net(nn.Module):
    """Classifies images of 8 x 8 pixels into ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.classifier = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


def main() -> None:
    digits = load_digits()
    images = digits.images[:, None].astype("float32") / 16  # samples x channels x height x width
    train, test = (images[:1437], digits.target[:1437]), (images[1437:], digits.target[1437:])

    torch.manual_seed(0)  # the same first weights in every run
    trained = zeroskip.train(Net(), train, settings=zeroskip.TrainSettings(epochs=15))

    # Keep a quarter of the weights, share them among 15 values per layer, and use 4 processing elements.
    array = zeroskip.EieCompileSettings(density=0.25, pes=4)
    compiled = zeroskip.compile(trained.module, train, settings=zeroskip.CompileSettings(own=array))
    for label, value in compiled.rows():
        print(f"{label:25} {value}")

    result = zeroskip.simulate(compiled, test, settings=zeroskip.SimulateSettings(limit=20), report="own_cnn.html")
    for label, value in result.rows():
        print(f"{label:25} {value}")
    assert result.equal, "the RTL differs from a model"


if __name__ == "__main__":
    main()
