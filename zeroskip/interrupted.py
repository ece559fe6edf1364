"""What Ctrl-C ends with. Imports nothing."""

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 + SIGINT."""

NOTHING_KEPT = "interrupted: no results are kept"
