"""What number formats lose, over several batches of samples."""

from __future__ import annotations

import numpy as np

from zeroskip.model.network.losses import input_loss, joined


def test_inputs_that_become_zero_in_all_samples_are_counted_over_all_batches() -> None:
    """Input 0 becomes zero wherever it is not zero, in one batch only; input 1 in one batch but not in the other."""
    first, second = np.array([[1e-9, 1e-9, 1.0]]), np.array([[0.0, 1.0, 1e-9]])
    losses = [input_loss(inputs, np.where(inputs < 1e-6, 0, inputs), clipped=0) for inputs in (first, second)]
    assert [loss.dead for loss in losses] == [2, 1]
    (loss,) = joined(losses)
    assert (loss.values, loss.to_zero, loss.dead) == (5, 3, 1)
    assert "1 inputs become zero in all samples" in str(loss)
