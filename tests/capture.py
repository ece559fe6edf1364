"""Captures what a GPU's tensor cores compute: see CONTRIBUTING.md, "Captures of a GPU"."""

import argparse
from pathlib import Path

from support.captures.run import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the .npz file to write")
    parser.add_argument("--rows", type=int, default=64, help="rows of A a class of operands, a multiple of 64 (64)")
    options = vars(parser.parse_args())
    if options["rows"] < 64 or options["rows"] % 64:
        parser.error(f"--rows must be a multiple of 64, not {options['rows']}")
    run(**options)
