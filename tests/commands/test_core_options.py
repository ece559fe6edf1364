"""Options of all cores in one command."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from zeroskip.commands.core_options import CoreOptions, with_core_options
from zeroskip.model.cores import CORES

ARRAY, TILE = list(CORES)[:2]


def run(*arguments: str, core: str | None) -> Any:
    """What a command with the search options of all cores is given, where it chooses `core`."""
    seen: list[Any] = []

    @with_core_options("SearchOptions")
    def command(name: Annotated[str, typer.Argument()], cores: CoreOptions, size: int = 3) -> None:
        cores.require_for(core, "what was chosen")
        seen.append((name, size, None if core is None else cores.of(core)))

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    result = CliRunner().invoke(app, [*arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return seen[0] if seen else result.output


def test_defaults() -> None:
    name, size, options = run("one", core=ARRAY)
    assert (name, size, options.pes) == ("one", 3, 8)


def test_options_of_the_chosen_core() -> None:
    name, size, options = run("one", "--m", "8", "--size", "4", core=TILE)
    assert (name, size, options.m, options.n) == ("one", 4, 8, 4)


@pytest.mark.parametrize("core", [TILE, None])
def test_an_option_of_another_core_is_refused(core: str | None) -> None:
    with pytest.raises(ValueError, match="--pes is an option of the EIE array, which what was chosen does not use"):
        run("one", "--pes", "8", core=core)


def test_each_core_has_its_heading_in_the_help() -> None:
    text = run("--help", core=None)
    array, tile = text.index(" EIE array "), text.index(" N:M tile ")
    assert array < text.index("--pes") < tile < text.index("--m ")
