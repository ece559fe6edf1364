"""The built-in data set: 1797 handwritten digits of 8x8 pixels, which scikit-learn contains."""

import numpy as np

from zeroskip.model.data.dataset import Dataset

TEST_IMAGES = 360


def load_digits() -> Dataset:
    """1437 training and 360 test images as rows of 64 pixels in [0, 1]. The split is fixed and stratified."""
    # Importing scikit-learn takes a second, so only the commands that need it do.
    from sklearn import datasets, model_selection

    images, labels = datasets.load_digits(return_X_y=True)
    inputs = (images / 16).astype(np.float32)
    train_inputs, test_inputs, train_labels, test_labels = model_selection.train_test_split(
        inputs, labels.astype(np.int64), test_size=TEST_IMAGES, stratify=labels, random_state=0
    )
    return Dataset(
        name="digits",
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )
