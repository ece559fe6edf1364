"""The command line: puts together the commands that each part defines in its own cli.py."""

import os
import signal
import sys
import warnings

import typer

import zeroskip.commands.compile
import zeroskip.commands.finetune
import zeroskip.commands.search
import zeroskip.commands.simulate
import zeroskip.commands.sweep
from zeroskip.commands.console import errors

app = typer.Typer(
    help="From a PyTorch network to sparse silicon, bit for bit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
zeroskip.commands.simulate.add_commands(app)
zeroskip.commands.compile.add_commands(app)
zeroskip.commands.search.add_commands(app)
zeroskip.commands.finetune.add_commands(app)
zeroskip.commands.sweep.add_commands(app)


def main() -> None:
    """Runs a command. What a user can mend is told in one line; ZEROSKIP_TRACEBACK=1 shows the rest of it."""
    # Ended from outside, as by `timeout`: the exception lets temporary files and the simulator go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    warnings.showwarning = lambda message, *_: tell(f"warning: {message}", "yellow")
    try:
        app()
    except (ValueError, OSError, RuntimeError, ArithmeticError) as error:
        if os.environ.get("ZEROSKIP_TRACEBACK"):
            raise
        first, *rest = str(error).strip().split("\n")
        more = " (ZEROSKIP_TRACEBACK=1 shows more)" if rest else ""
        tell(f"error: {first}{more}", "red")
        sys.exit(1)


def tell(line: str, style: str) -> None:
    errors.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
