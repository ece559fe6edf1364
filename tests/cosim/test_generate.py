"""Text from language models on the RTL: each logit is that of the golden model, and nothing is computed twice."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.language_models import LENGTH, compiled_model

from zeroskip.api import generate as module
from zeroskip.api.generate import GenerateSettings, generate
from zeroskip.cosim.generate import golden_logits
from zeroskip.model.data.text import CHARACTERS, encode

MOST_PROBABLE = GenerateSettings(tokens=3, temperature=0)


@pytest.mark.parametrize(("name", "core", "starts"), [("gpt", "eie", 5), ("lstm", "eie", 3), ("gpt", "mma", 5)])
def test_a_text_is_that_of_the_golden_model(name: str, core: str, starts: int) -> None:
    """The most probable characters; each but the first takes one row of each layer, or less where a recurrent network
    has read the same character before."""
    network = compiled_model(name, core)
    result = generate(network, "the", settings=MOST_PROBABLE)
    text = "the"
    for _ in range(3):
        sequence = np.zeros(LENGTH, np.float32)
        sequence[: len(text)] = encode(text, "text")
        text += CHARACTERS[golden_logits(network, sequence, len(text)).argmax()]
    assert (result.prompt + result.text, result.mismatches, result.equal) == (text, 0, True)
    given = [run.starts for run in result.runs]
    assert given == [3 * starts, starts, starts] if name == "gpt" else max(given[1:]) <= starts
    assert all(run.cycles > 0 for run in result.runs)


def test_another_logit_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.cosim.generate.golden_logits", lambda *_: golden_logits(*_) + 1)
    result = generate(compiled_model("gpt", "eie"), "t", settings=GenerateSettings(tokens=1))
    assert (result.mismatches, result.equal) == (len(CHARACTERS), False)


def test_chance_depends_on_the_seed_and_the_temperature() -> None:
    logits = np.log(np.array([0.7, 0.2, 0.1]))

    def shares(temperature: float) -> list[float]:
        generator = np.random.default_rng(1)
        found = [module._chosen(logits, temperature, generator) for _ in range(4000)]
        return [found.count(token) / len(found) for token in range(3)]

    assert shares(0) == [1, 0, 0]
    assert shares(1) == pytest.approx([0.7, 0.2, 0.1], abs=0.02)
    assert shares(0.5) == pytest.approx([49 / 54, 4 / 54, 1 / 54], abs=0.02)


@pytest.mark.parametrize(
    ("prompt", "tokens", "message"),
    [
        ("", 1, "prompt must have at least one character"),
        ("naïve", 1, "prompt must be of printable ASCII characters and ends of lines, not 'ï' (line 1)"),
        ("the cat", 1, "prompt must have at most 6 characters where 1 are generated, as network takes 6, not 7"),
        ("the", 5, "prompt must have at most 2 characters where 5 are generated, as network takes 6, not 3"),
        ("the", 9, "prompt must have at most 0 characters where 9 are generated, as network takes 6, not 3"),
    ],
)
def test_a_prompt_that_does_not_fit_is_told(prompt: str, tokens: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        generate(compiled_model("gpt", "mma"), prompt, settings=GenerateSettings(tokens=tokens))


def test_a_network_that_looks_ahead_is_told() -> None:
    message = "network: what it gives for a character depends on later ones; supported: causal networks"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        generate(compiled_model("backwards", "mma"), "the", settings=MOST_PROBABLE)


def test_a_network_that_is_no_language_model_is_told() -> None:
    from support.transformers import network, tokens

    from zeroskip.model.cores import load_core

    core, inputs = load_core("mma"), tokens("GPT").numpy()
    other = core.compile(network("GPT"), inputs, core.settings_type())
    message = (
        "network: must be a language model of characters, which embeds 96 tokens and gives as many scores for each"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        generate(other, "the", settings=MOST_PROBABLE)
