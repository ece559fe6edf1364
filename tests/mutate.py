"""Plants faults in `model/` and shows which of them no test notices: see CONTRIBUTING.md, "Mutants"."""

import argparse
import sys
from pathlib import Path

from support.mutants.run import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose file or statement holds one of these")
    parser.add_argument("--count", type=int, default=400, help="how many mutants of the sample (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=60, help="seconds of tests a mutant (default: %(default)s)")
    options = vars(parser.parse_args())
    sys.exit(run(Path(__file__).resolve().parents[1], **options))
