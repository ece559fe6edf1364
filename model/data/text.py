"""Text as sequences of characters, each labelled with the one that follows it: what language models learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.data.dataset import Dataset

CHARACTERS = "\n" + "".join(map(chr, range(ord(" "), ord("~") + 1)))
"""The vocabulary: character i is token i. The end of a line, and all printable ones of ASCII."""

LENGTH = 64
"""Characters in a sample."""

TESTED = 10
"""One of so many samples is for testing."""

_PLAIN = str.maketrans(
    {"\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2026": "..."}
)


def encode(text: str, field: str) -> NDArray[np.int64]:
    """The tokens of a text. Raises ValueError, which calls it `field`, for characters that are not in the
    vocabulary."""
    tokens = np.array([CHARACTERS.find(character) for character in text], np.int64)
    if (tokens < 0).any():
        place = int(np.argmax(tokens < 0))
        line = text.count("\n", 0, place) + 1
        raise ValueError(
            f"{field} must be of printable ASCII characters and ends of lines, not {text[place]!r} (line {line})"
        )
    return tokens


def decode(tokens: NDArray[np.int64]) -> str:
    """The text of tokens."""
    return "".join(CHARACTERS[token] for token in tokens)


def load_python_topics() -> Dataset:
    """The help of Python itself, `help("topics")`, as of this Python's version: some 460,000 characters of English and
    of code. Typographic characters are replaced, and the few other ones left out."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics)).translate(_PLAIN)
    return of_text("python-topics", "".join(character for character in text if character in CHARACTERS))


def load_text(path: Path) -> Dataset:
    """The characters of a file. Raises FileNotFoundError, or ValueError with the reason."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is not a file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: must be text in UTF-8, but: {error}") from error
    return of_text(f"text:{path}", text)


def of_text(name: str, text: str) -> Dataset:
    """Samples of LENGTH characters, one after another, each character with the label of the next one. The last of every
    TESTED samples is for testing. Raises ValueError where the text is too short."""
    tokens = encode(text, name)
    count = (len(tokens) - 1) // LENGTH
    if count < TESTED:
        raise ValueError(
            f"{name}: needs at least {TESTED * LENGTH + 1} characters, so that some can be held out to measure "
            f"accuracy on, not {len(tokens)}"
        )
    inputs, labels = (tokens[first : first + count * LENGTH].reshape(count, LENGTH) for first in (0, 1))
    test = np.arange(count) % TESTED == TESTED - 1
    return Dataset(
        name=name,
        train_inputs=inputs[~test].astype(np.float32),
        train_labels=labels[~test],
        test_inputs=inputs[test].astype(np.float32),
        test_labels=labels[test],
    )
