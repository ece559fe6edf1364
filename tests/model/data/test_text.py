"""Text as tokens, each labelled with the next one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from zeroskip.model.data.dataset import accuracy, perplexity
from zeroskip.model.data.named import load_data
from zeroskip.model.data.text import CHARACTERS, LENGTH, decode, encode


def test_each_character_has_the_label_of_the_next(tmp_path: Path) -> None:
    """20 samples, of which the tenth and the twentieth are for testing."""
    text = "".join(CHARACTERS[(7 * index + index // 90) % 96] for index in range(20 * LENGTH + 5))
    (tmp_path / "book.txt").write_text(text)
    found = load_data(f"text:{tmp_path / 'book.txt'}", 0)
    assert found.train_inputs.shape == found.train_labels.shape == (18, LENGTH)
    assert decode(found.train_inputs[1].astype(int)) == text[LENGTH : 2 * LENGTH]
    assert decode(found.train_labels[1]) == text[LENGTH + 1 : 2 * LENGTH + 1]
    assert decode(found.test_inputs[0].astype(int)) == text[9 * LENGTH : 10 * LENGTH]
    assert decode(found.test_labels[1]) == text[19 * LENGTH + 1 : 20 * LENGTH + 1]


def test_python_brings_text() -> None:
    found = load_data("python-topics", 0)
    assert len(found.train_inputs) > 5_000
    assert "statement" in decode(found.train_inputs[:100].astype(int).flatten())


def test_a_text_that_does_not_fit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    for content, message in (
        ("caf\u00e9", f"text:{path} must be of printable ASCII characters and ends of lines, not '\u00e9' (line 1)"),
        ("a\nb\tc", f"text:{path} must be of printable ASCII characters and ends of lines, not '\\t' (line 2)"),
        ("a" * 640, f"text:{path}: needs at least 641 characters, so that some can be held out to measure accuracy on"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            load_data(f"text:{path}", 0)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: must be text in UTF-8, but: "):
        load_data(f"text:{path}", 0)


def test_accuracy_and_perplexity_are_of_each_token() -> None:
    """Two sequences of two tokens, three classes: 3 of 4 are right; the share of the right class is 1/2, 1/2, 1/2 and
    1/4."""
    shares = [[[2, 1, 1], [1, 2, 1]], [[1, 1, 2], [1, 1, 2]]]
    outputs = np.log(np.array(shares, np.float64)).reshape(2, 6) + 5
    labels = np.array([[0, 1], [2, 0]])
    assert accuracy(outputs, labels) == 0.75
    assert perplexity(outputs, labels) == pytest.approx((2 * 2 * 2 * 4) ** 0.25)
    assert perplexity(outputs[:, :3], np.array([0, 1])) is None


def test_a_text_is_its_tokens() -> None:
    assert decode(encode(CHARACTERS, "text")) == CHARACTERS
    assert encode("\n ~", "text").tolist() == [0, 1, 95]
