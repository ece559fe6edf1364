"""The walk through the stages: what is handed to whom, and in which order."""

import numpy as np

from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import ConvStage, LinearStage, MaxPoolStage, Stage

POOL = MaxPoolStage(channels=1, height=2, width=4, kernel=(2, 2), stride=(2, 2), padding=(0, 0))
CONV = ConvStage(channels=1, height=1, width=2, kernel=(1, 1), stride=(1, 1), padding=(0, 0), layer=0)
LINEAR = LinearStage(first=1, last=2)
IMAGES = np.array([[1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1]])


def test_stages_with_layers_are_run_in_order_and_the_others_are_the_hosts() -> None:
    taken: list[tuple[Stage, list[list[int]]]] = []

    def run_stage(stage: Stage, rows: np.ndarray) -> np.ndarray:
        taken.append((stage, rows.tolist()))
        return 10 * rows if stage is CONV else rows.sum(axis=1, keepdims=True)

    outputs = run_stages([POOL, CONV, LINEAR], IMAGES, run_stage)

    # Of each image the greatest of its left and right half; one row for each position, then one for each image.
    assert taken == [(CONV, [[6], [8], [8], [6]]), (LINEAR, [[60, 80], [80, 60]])]
    assert outputs.tolist() == [[140], [140]]


def test_pooling_alone_needs_nobody() -> None:
    assert run_stages([POOL], IMAGES, lambda *_: np.empty(0)).tolist() == [[6, 8], [8, 6]]
