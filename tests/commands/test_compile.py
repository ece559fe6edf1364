"""`zeroskip compile` of every core: cut short by Ctrl-C, gone on with, and the same keys in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from zeroskip.model.cores import CORES
from zeroskip.model.pruning import training_run

Command = Callable[..., tuple[int, str, str]]
Interrupted = Callable[[str], tuple[int, str, str]]


def _arguments(core: str) -> tuple[str, ...]:
    options = _options(core)
    return ("compile", "mynet:Net", "--data", "data.npz", "--output", "net.zs", "--core", core, *options, "--json")


def _options(core: str) -> tuple[str, ...]:
    """Options of the core that train."""
    options: tuple[str, ...] = import_module(f"support.{core}_settings").OPTIONS
    return options


@pytest.fixture
def interrupted(zs: Command, monkeypatch: pytest.MonkeyPatch) -> Interrupted:
    """Runs the command for a core, with Ctrl-C once the state of the third epoch is saved."""

    def run(core: str) -> tuple[int, str, str]:
        saved, epochs = training_run.save_checkpoint, []

        def save(*arguments: object) -> None:
            saved(*arguments)  # type: ignore[arg-type]
            epochs.append(arguments)
            if len(epochs) == 3:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(training_run, "save_checkpoint", save)
            return zs(*_arguments(core))

    return run


@pytest.mark.parametrize("core", CORES)
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(core: str, interrupted: Interrupted) -> None:
    code, out, err = interrupted(core)

    assert (code, out) == (130, "")
    assert err.startswith("interrupted after 2 of ")
    assert err.endswith(" epochs, which are kept in net.zs.ckpt; run the same command again to continue\n")


@pytest.mark.parametrize("core", CORES)
def test_the_same_command_again_says_that_it_goes_on_and_ends_the_same(
    core: str, zs: Command, interrupted: Interrupted, tmp_path: Path
) -> None:
    assert zs(*_arguments(core))[0] == 0
    whole = (tmp_path / "net.zs").read_bytes()
    for path in tmp_path.glob("net.zs*"):
        path.unlink()

    interrupted(core)
    code, _, err = zs(*_arguments(core))

    assert code == 0, err
    assert err.startswith("resumed from net.zs.ckpt: 3 of ")
    assert (tmp_path / "net.zs").read_bytes() == whole


def test_the_keys_of_the_json_are_those_of_every_core(zs: Command) -> None:
    keys = []
    for core in CORES:
        code, out, err = zs(*_arguments(core))
        assert code == 0, err
        keys.append([(name, type(value).__name__) for name, value in json.loads(out).items()])

    assert keys == [keys[0]] * len(CORES)


@pytest.mark.parametrize("core", CORES)
def test_options_of_another_core_are_refused(core: str, zs: Command) -> None:
    for other in CORES:
        if other == core:
            continue
        code, _, err = zs(*_arguments(core), *_options(other))
        assert code == 1
        first = _options(other)[0]
        assert f"{first} is an option of the {CORES[other].title}, which --core {core} does not use" in err
