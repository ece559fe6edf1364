"""Shows the lists of parameters, ports and members in docstrings of the RTL as lists (an extension of griffe)."""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTION = re.compile(r"^(Parameters|Ports|Members)\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", re.M | re.S)
ENTRY = re.compile(r"^(?P<name>\S+) : (?P<kind>.+)\n(?P<text>(?:[ ]+.*(?:\n|\Z)|\n)*)", re.M)


class Ports(griffe.Extension):
    """`Ports`, `-----` and indented entries, `name : shape, direction`, become a Markdown list."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = listed(obj.docstring.value)


def listed(text: str) -> str:
    """The text with its sections as lists below a title in bold."""
    return SECTION.sub(lambda section: f"**{section[1]}**\n\n{_entries(section[2])}\n", text)


def _entries(text: str) -> str:
    """One line for each entry; a text of more than one line is joined."""
    lines = []
    for entry in ENTRY.finditer(f"{text.rstrip()}\n"):
        meaning = " ".join(entry["text"].split())
        lines.append(f"- **`{entry['name']}`** ({entry['kind']}){': ' if meaning else ''}{meaning}")
    return "\n".join(lines) + "\n"
