"""What the command `zeroskip` starts. It lies beside the package, so that no other `zeroskip` on Python's path is taken
for it: with PYTHONPATH=. a file zeroskip.py of the user's would come first."""

import os
import sys

_entries = [entry for entry in sys.path if os.path.realpath(entry) != os.path.realpath(os.curdir)]
sys.path[:] = [os.path.dirname(os.path.abspath(__file__)), *_entries]

# The packages beside this one have their usual place.
sys.path[:] = _entries


def main() -> None:
    """Runs the command line."""
    from zeroskip.cli import main

    main()
