"""The command line: puts together the commands that each part defines in its own cli.py."""


def main() -> None:
    raise NotImplementedError
