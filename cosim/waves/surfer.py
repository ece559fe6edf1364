"""Sessions of Surfer: its command file (.sucl), and mapping translators for the names of enumerations.

A state file (.surf.ron) would show groups where commands can only add dividers, but it is a dump of Surfer's own data
structures: fields come and go with its versions, and one that does not fit is refused as a whole. A command that a
version does not know costs that line alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from zeroskip.cosim.waves.shown import Enumeration, Group

FORMATS = {"hex": "Hexadecimal", "binary": "Binary", "signed": "Signed", "unsigned": "Unsigned"}

MAPPINGS = ".surfer/mappings"
"""Where Surfer looks for translators, below the folder in which it starts."""


def commands(groups: Sequence[Group], *, head: str) -> str:
    """The command file that shows the groups in the waveform with which Surfer starts.

    Surfer parses all commands before it loads the waveform: so a signal is named from the top, and an item that gets
    its label and its format by its place.
    """
    lines = [f"# {head}"]
    looks = []
    place = 0
    for group in groups:
        lines.append(f"divider_add {group.title}")
        place += 1
        for signal in group.signals:
            lines.append(f"variable_add {signal.name}")
            looks += [f"item_focus {_letters(place)}_", f"item_rename {signal.label}"]
            if isinstance(signal.form, Enumeration):
                looks.append(f"item_set_format {mapping_name(signal.form)}")
            elif signal.bits > 1:
                looks.append(f"item_set_format {FORMATS[signal.form]}")
            place += 1
    return "\n".join([*lines, *looks, "item_unfocus", "zoom_fit", ""])


def _letters(place: int) -> str:
    """The number of an item as Surfer writes it: hexadecimal, with a to p for the digits."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in f"{place:x}")


def mapping_name(enumeration: Enumeration) -> str:
    return f"zeroskip {enumeration.title}"


def mapping_text(enumeration: Enumeration, bits: int) -> str:
    """A mapping translator for signals of so many bits."""
    lines = [f"Name = {mapping_name(enumeration)}", f"Bits = {bits}"]
    return "\n".join([*lines, *(f"{value} {name}" for value, name in enumeration.names.items()), ""])
