"""A language model from text to a compiled network, with the perplexity of each step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]

GPT = "zeroskip.networks:gpt(width=8, blocks=1, heads=2)"


def test_a_text_is_learned_and_compiled(zs: Command, tmp_path: Path) -> None:
    """A text that repeats itself is soon known; the golden models of both cores lose little of that."""
    (tmp_path / "book.txt").write_text("the cat sat on the mat, and the dog sat on the log.\n" * 200)
    data = ("--data", "text:book.txt", "--json")
    trained = ("--optimizer", "adam", "--learning-rate", 0.03, "--epochs", 12, "--output", "gpt.safetensors")
    code, out, err = zs("train", GPT, *data, *trained)
    assert code == 0, err
    found = json.loads(out)["perplexity"]
    assert found["start"] == pytest.approx(96, rel=0.1)
    assert found["trained"] < 4
    for core in ("eie", "mma"):
        written = ("--weights", "gpt.safetensors", "--core", core, "--output", "gpt.zs", "--limit", 8)
        code, out, err = zs("compile", GPT, *data, *written)
        assert code == 0, err
        result = json.loads(out)
        shared = result["perplexity"].get("shared", found["trained"])
        assert result["perplexity"]["golden"] == pytest.approx(shared, rel=0.1)
        assert 0 < result["accuracy"]["golden"] < 1


def test_labels_of_tokens_need_outputs_for_tokens(zs: Command, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("abcdefgh" * 200)
    (tmp_path / "flat.py").write_text("from torch import nn\n\ndef net():\n    return nn.Linear(64, 96)\n")
    code, _, err = zs("train", "flat:net", "--data", "text:book.txt", "--output", "net.safetensors")
    assert code == 1
    message = (
        "text:book.txt: the network must give outputs of shape (samples, 64, classes), as each token has a label, not"
    )
    assert err.startswith(f"error: {message}")
    code, _, err = zs("compile", "flat:net", "--data", "text:book.txt", "--output", "net.zs")
    assert code == 1
    message = "text:book.txt: train_labels are for each of 64 tokens; the network must give as many times the number of"
    assert err.startswith(f"error: {message}")
