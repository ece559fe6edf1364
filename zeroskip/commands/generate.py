"""`zeroskip generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.generate import GenerateSettings, generate
from zeroskip.commands import options
from zeroskip.commands.console import show, working


def generate_command(
    network: Annotated[Path, typer.Argument(help="A language model of characters from `zeroskip compile`.")],
    prompt: Annotated[str, typer.Option(help="The text that is continued.")],
    tokens: Annotated[int, typer.Option(min=1, help="Characters to generate.")] = GenerateSettings.tokens,
    temperature: Annotated[
        float, typer.Option(min=0, help="What logits are divided by; at 0, the most probable character is taken.")
    ] = GenerateSettings.temperature,
    seed: options.Seed = GenerateSettings.seed,
    as_json: options.Json = False,
) -> None:
    """Continue a text with a language model that runs on the RTL, character by character.

    What the RTL has computed for a character is kept for the following ones. The exit code is 1 unless every logit
    equals the golden model and every cycle the cycle model.
    """
    with working() as progress:
        result = generate(
            network,
            prompt,
            settings=GenerateSettings(tokens=tokens, temperature=temperature, seed=seed),
            progress=progress,
        )
    show(result.summary(), result.rows(), title=f"{network.name}, {result.seconds:.1f} s", as_json=as_json)
    if not result.equal:
        raise typer.Exit(1)
