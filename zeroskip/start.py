"""Starts the command line, and answers a Ctrl-C that comes while it is imported. Imports nothing heavy."""

from __future__ import annotations

import sys

from zeroskip.interrupted import INTERRUPTED, NOTHING_KEPT


def start() -> None:
    """Runs the command of this process's arguments."""
    try:
        from zeroskip.cli import main
    except KeyboardInterrupt:
        print(NOTHING_KEPT, file=sys.stderr)
        sys.exit(INTERRUPTED)
    main()
