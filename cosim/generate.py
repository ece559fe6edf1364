"""A network of tokens on the RTL of its core, one token after another, in one simulator.

A causal network computes the same for a token whatever follows it. So only the rows of the tokens so far run on the
core, and a row that it has computed before, for an earlier token, is not computed again: what the core gave for it is
kept, as a cache of keys and values keeps it. All that is compared is what the network gives for the last token, with
the golden model of the whole sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.driver import StageRun
from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.session import Session
from zeroskip.model.cores import load_core
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import LinearStage, RecurrentStage, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenRun:
    """What the network gives for one token: `logits` (float, classes) from the RTL, `mismatches` of them that differ
    from the golden model. `starts` rows ran on the core, in `cycles` cycles; `values` of their results were compared
    with the golden model, `different` of them differ."""

    logits: NDArray[Any]
    mismatches: int
    starts: int
    cycles: int
    values: int
    different: int
    cycle_model_equal: bool


class TokenRunner:
    """Runs `network`, which gives the same number of classes for each token that it takes, in `session`."""

    def __init__(self, session: Session, network: Any) -> None:
        self._session = session
        self._network = network
        self._tokens = network.inputs
        self._driver = load_driver(network.core)
        # What the core gave for a row, by the first layer of its stage and the row.
        self._known: dict[tuple[int, bytes], NDArray[Any]] = {}

    def run(self, sequence: NDArray[np.float32], length: int) -> TokenRun:
        """What the network gives for the last of the first `length` tokens of a sequence (float32, tokens)."""
        made: list[StageRun] = []
        starts = 0
        steps: dict[int, int] = {}

        def run_stage(stage: Stage, rows: NDArray[Any]) -> NDArray[Any]:
            nonlocal starts
            first = stage.layers[0]
            needed = len(rows)
            if isinstance(stage, LinearStage) and stage.rows == self._tokens:
                needed = length
            elif isinstance(stage, RecurrentStage):
                # Called once for each step.
                steps[first] = steps.get(first, 0) + 1
                needed = 1 if steps[first] <= length else 0
            keys = [(first, row.tobytes()) for row in rows[:needed]]
            new = [index for index, key in enumerate(keys) if key not in self._known]
            if new:
                # As a stage of single rows, in whatever stage of the network they are.
                alone = LinearStage(first=first, last=stage.layers[-1])
                made.append(self._driver.run_stage(self._session, self._network, alone, rows[new], lambda _: None))
                starts += len(new)
                for index, row in zip(new, made[-1].outputs, strict=True):
                    self._known[keys[index]] = row
            found = np.zeros((len(rows), self._network.layers[stage.layers[-1]].outputs), rows.dtype)
            for index, key in enumerate(keys):
                found[index] = self._known[key]
            return found

        network = self._network
        inputs, _ = self._driver.encode(network, sequence[None], saturate=False)
        values = run_stages(
            network.stages, inputs, run_stage, lambda *given: network.run_host(*given)[0], network.run_cell
        )
        logits = _of_token(self._driver.decode(network, values)[0], self._tokens, length - 1)
        wanted = golden_logits(network, sequence, length)
        return TokenRun(
            logits=logits,
            mismatches=int((logits != wanted).sum()),
            starts=starts,
            cycles=sum(int(stage.totals.sum()) for stage in made),
            values=sum(stage.values for stage in made),
            different=sum(stage.mismatches for stage in made),
            cycle_model_equal=all(stage.cycle_model_equal for stage in made),
        )


def golden_logits(network: Any, sequence: NDArray[np.float32], length: int) -> NDArray[Any]:
    """What the golden model gives for the last of the first `length` tokens (float, classes) of a sequence, of which it
    computes all."""
    return _of_token(load_core(network.core).outputs(network, sequence[None]), len(sequence), length - 1)


def _of_token(outputs: NDArray[Any], tokens: int, token: int) -> NDArray[Any]:
    by_token: NDArray[Any] = outputs.reshape(tokens, -1)[token]
    return by_token
