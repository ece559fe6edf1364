"""Starts the command `zeroskip`.

It is next to the package and imports the package from there: with PYTHONPATH=. a user's file zeroskip.py would be
imported instead.
"""

import os
import sys

_entries = [entry for entry in sys.path if os.path.realpath(entry) != os.path.realpath(os.curdir)]
sys.path[:] = [os.path.dirname(os.path.abspath(__file__)), *_entries]
import zeroskip  # noqa: E402, F401

# Other packages in the folder of this one keep their usual place.
sys.path[:] = _entries


def main() -> None:
    """Runs the command line."""
    from zeroskip.start import start

    start()
