"""Search how much to prune in each layer, within a budget of hardware cycles, and fine-tune to the plan.

NetAdapt prunes single weights until the network takes 70 % of its dense cycles on an EIE array with 4 processing
elements. The cycles come from the exact cycle model. To search for something else, change `SearchSettings`.

Run it with: python examples/search_in_cycles.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import zeroskip


def main() -> None:
    digits = load_digits()
    data = digits.images[:, None].astype("float32") / 16, digits.target
    torch.manual_seed(0)  # the same first weights in every run
    features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    classifier = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10))
    network = nn.Sequential(features, classifier)
    trained = zeroskip.train(network, data, settings=zeroskip.TrainSettings(epochs=15))

    settings = zeroskip.SearchSettings(
        method="netadapt", cost="eie-cycles", budget=0.7, granularity="weights", sizes={"pes": 4}
    )
    found = zeroskip.search(trained.module, data, settings=settings)
    for layer in found.plan.layers:
        print(f"layer {layer.name} keeps {layer.density:.0%} of its weights")
    share = found.cost["plan"] / found.cost["dense"]
    print(f"cycles: {share:.1%} of the dense network's")
    assert share <= 0.7

    tuned = zeroskip.finetune(trained.module, data, plan=found.plan)
    for label, value in tuned.rows():
        print(f"{label:25} {value}")


if __name__ == "__main__":
    main()
