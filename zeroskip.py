"""The command line: puts together the commands that each part defines in its own cli.py."""

import os
import sys

import typer

import cosim.cli
import model.cli
from model.console import errors

app = typer.Typer(
    help="From a PyTorch network to sparse silicon, bit for bit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cosim.cli.add_commands(app)
model.cli.add_commands(app)


def main() -> None:
    """Runs a command. What a user can mend is told in one line; ZEROSKIP_TRACEBACK=1 shows where it came from."""
    try:
        app()
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("ZEROSKIP_TRACEBACK"):
            raise
        errors.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
