"""`zeroskip.generate`: text from a language model whose matrix products run on the RTL. Imports nothing heavy."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_at_least, require_settings, typed
from zeroskip.api.simulate import CompiledNetwork, load_compiled
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zeroskip.cosim.generate import TokenRun


@dataclass(frozen=True, kw_only=True)
class GenerateSettings:
    """How many `tokens` are generated. A character is chosen by chance, by `seed`, with the probabilities of the logits
    divided by `temperature`; at 0 it is the most probable one."""

    tokens: int = 20
    temperature: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        require_settings(self)
        require_at_least(self, tokens=1, temperature=0, seed=0)
        if not math.isfinite(self.temperature):
            raise ValueError(f"temperature must be finite, not {self.temperature}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Generated:
    """The `text` that follows the prompt, and what the RTL computed for each of its characters, in `runs`: for the
    first one, the whole prompt."""

    network: str
    core: str
    geometry: dict[str, Any]
    prompt: str
    text: str
    runs: tuple[TokenRun, ...]
    times: tuple[float, ...]
    """Seconds of each token, without those of loading the simulator."""
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every logit, and every result on the way, is that of the golden model, and every cycle that of the
        cycle model."""
        return not self.mismatches and self.cycle_model_equal

    @property
    def cycle_model_equal(self) -> bool:
        """Whether every cycle is that of the cycle model."""
        return all(run.cycle_model_equal for run in self.runs)

    @property
    def mismatches(self) -> int:
        """How many logits and other results differ from the golden model."""
        return sum(run.mismatches + run.different for run in self.runs)

    @property
    def values(self) -> int:
        """How many were compared."""
        return sum(run.logits.size + run.values for run in self.runs)

    def summary(self) -> dict[str, Any]:
        """What `zeroskip generate --json` prints."""
        return {
            "network": self.network,
            "core": self.core,
            "geometry": self.geometry,
            "prompt": self.prompt,
            "text": self.text,
            "tokens": [
                {"character": character, "starts": run.starts, "cycles": run.cycles, "seconds": seconds}
                for character, run, seconds in zip(self.text, self.runs, self.times, strict=True)
            ],
            "values": self.values,
            "mismatches": self.mismatches,
            "cycle_model_equal": self.cycle_model_equal,
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        first, *others = self.runs
        rows = [
            ("text", self.prompt + self.text),
            ("cycles of the prompt and the first token", f"{first.cycles:,}"),
            ("seconds of the prompt and the first token", f"{self.times[0]:.1f}"),
        ]
        if others:
            cycles = [run.cycles for run in others]
            rows += [
                ("cycles per token", f"{sum(cycles) / len(cycles):,.1f} ({min(cycles):,} to {max(cycles):,})"),
                ("seconds per token", f"{sum(self.times[1:]) / len(others):.2f}"),
            ]
        return [
            *rows,
            ("cycle model", "equal" if self.cycle_model_equal else "NOT EQUAL"),
            ("RTL against golden model", f"{self.mismatches:,} mismatches in {self.values:,} values"),
        ]


@typed
def generate(
    network: CompiledNetwork,
    prompt: str,
    *,
    settings: GenerateSettings | None = None,
    progress: Progress = silent,
) -> Generated:
    """Continue a text with a language model of characters, whose layers run on the RTL of its core.

    `network` is a file's path, a Compiled, or its network: a causal one that takes tokens of
    `zeroskip.model.data.text.CHARACTERS`, and gives scores for the character that follows each. `prompt` is the text
    that is continued. What the RTL has computed for a character is kept for the following ones.

    Raises ValueError if the network is no such one, or prompt and tokens together are longer than its sequence, and
    SimulatorError where the simulator is missing or fails.
    """
    start = time.monotonic()
    settings = settings or GenerateSettings()
    if not prompt:
        raise ValueError("prompt must have at least one character")
    from zeroskip.model.data.text import CHARACTERS, encode

    given = encode(prompt, "prompt")
    progress(Step(task="loading the network"))
    name, compiled = load_compiled(network)
    length = _require_text(name, compiled)
    if len(given) + settings.tokens - 1 > length:
        raise ValueError(
            f"prompt must have at most {max(length + 1 - settings.tokens, 0)} characters where {settings.tokens} are "
            f"generated, as {name} takes {length}, not {len(given)}"
        )
    import dataclasses

    import numpy as np

    from zeroskip.cosim.drivers import load_driver
    from zeroskip.cosim.generate import TokenRunner
    from zeroskip.cosim.session import Session

    progress(Step(task="loading the simulator"))
    generator = np.random.default_rng(settings.seed)
    sequence = np.zeros(length, np.float32)
    sequence[: len(given)] = given
    _require_causal(name, compiled, sequence, len(given))
    driver = load_driver(compiled.core)
    runs: list[TokenRun] = []
    times: list[float] = []
    text = ""
    with Session(
        driver.design(compiled.geometry),
        setup=driver.setup(compiled, "direct"),
        files=driver.files,
        announce=lambda task: progress(Step(task=task)),
    ) as session:
        runner = TokenRunner(session, compiled)
        for number in range(settings.tokens):
            progress(
                Step(task="generating", done=number, total=settings.tokens, unit="tokens", facts={"text": repr(text)})
            )
            begin, known = time.monotonic(), len(given) + number
            runs.append(runner.run(sequence, known))
            times.append(time.monotonic() - begin)
            token = _chosen(runs[-1].logits, settings.temperature, generator)
            text += CHARACTERS[token]
            if known < length:
                sequence[known] = token
    return Generated(
        network=name if not isinstance(network, str | Path) else str(network),
        core=compiled.core,
        geometry=dataclasses.asdict(compiled.geometry),
        prompt=prompt,
        text=text,
        runs=tuple(runs),
        times=tuple(times),
        seconds=time.monotonic() - start,
    )


def _require_text(name: str, network: Any) -> int:
    """The characters that a network takes. Raises ValueError where it is no language model of characters."""
    from zeroskip.model.data.text import CHARACTERS
    from zeroskip.model.network.token_stages import EmbeddingStage

    length = network.inputs
    embedded = [len(stage.table) for stage in network.stages if isinstance(stage, EmbeddingStage)]
    if len(CHARACTERS) not in embedded or network.outputs != length * len(CHARACTERS):
        raise ValueError(
            f"{name}: must be a language model of characters, which embeds {len(CHARACTERS)} tokens and gives as many "
            "scores for each; zeroskip.networks:gpt is one"
        )
    return int(length)


def _require_causal(name: str, network: Any, sequence: NDArray[np.float32], known: int) -> None:
    """Raises ValueError where what a network gives for a token depends on later ones."""
    from zeroskip.cosim.generate import golden_logits

    other = sequence.copy()
    other[known:] += 1
    if (golden_logits(network, sequence, known) != golden_logits(network, other, known)).any():
        raise ValueError(
            f"{name}: what it gives for a character depends on later ones; supported: causal networks, such as those "
            "whose attention has a causal mask"
        )


def _chosen(logits: NDArray[Any], temperature: float, generator: np.random.Generator) -> int:
    import numpy as np

    if temperature == 0:
        return int(logits.argmax())
    scores = logits.astype(np.float64) / temperature
    shares = np.exp(scores - scores.max())
    return int(generator.choice(len(shares), p=shares / shares.sum()))
