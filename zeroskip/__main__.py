"""`python -m zeroskip`."""

from zeroskip.cli import main

main()
