"""A register map as files: the addresses and the fields for C and Python, and tables for the data sheet."""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.rtl.bus.register_map import Field, Kind, RegisterMap

_ACCESS = {
    Kind.CONSTANT: "read",
    Kind.STATUS: "read",
    Kind.SETTING: "read, write",
    Kind.PULSE: "write 1",
    Kind.EVENT: "read, write 1 to clear",
}

REGISTER_HEADS = ("address", "register", "bits", "field", "access", "meaning")
WINDOW_HEADS = ("address", "window", "instances", "stride", "words", "bits", "access", "meaning")


def constants(described: RegisterMap) -> Iterator[tuple[str, int]]:
    """The addresses of registers and windows; for each field its mask and lowest bit, and the value of a constant."""
    for register in described.registers:
        yield register.name, register.address
        for field in register.fields:
            stem = f"{register.name}__{field.name}"
            yield f"{stem}__MASK", ((1 << field.width) - 1) << field.low
            yield f"{stem}__LOW", field.low
            if field.kind is Kind.CONSTANT:
                yield f"{stem}__VALUE", field.reset
    for window in described.windows:
        yield window.name, window.base
        yield f"{window.name}__WORDS", window.entries
        yield f"{window.name}__WORD_BYTES", window.word_bytes
        yield f"{window.name}__STRIDE", window.stride
        yield f"{window.name}__INSTANCES", window.instances


def c_header(described: RegisterMap) -> str:
    """Macros, in C99 and C++."""
    prefix = described.name.upper()
    lines = [
        f"/* {described.title}: addresses in bytes from the base of the core; fields by mask and lowest bit. */",
        f"#ifndef {prefix}_H",
        f"#define {prefix}_H",
        "",
        *(f"#define {prefix}_{name} 0x{value:X}u" for name, value in constants(described)),
        "",
        "/* The address of a word of a window. */",
        *(
            f"#define {prefix}_{window.name}_AT(instance, word) "
            f"({prefix}_{window.name} + (instance) * {prefix}_{window.name}__STRIDE + "
            f"(word) * {prefix}_{window.name}__WORD_BYTES)"
            for window in described.windows
        ),
        "",
        "#endif",
    ]
    return "\n".join([*lines, ""])


def python_file(described: RegisterMap) -> str:
    """The same constants for Python."""
    lines = [
        f'"""{described.title}: addresses in bytes from the base of the core; fields by mask and lowest bit."""',
        "",
        *(f"{name} = {value:#x}" for name, value in constants(described)),
    ]
    return "\n".join([*lines, ""])


def register_rows(described: RegisterMap) -> list[tuple[str, ...]]:
    """Rows of the table with REGISTER_HEADS."""
    rows: list[tuple[str, ...]] = []
    for register in described.registers:
        for number, field in enumerate(register.fields):
            first = number == 0
            rows.append(
                (
                    f"`{register.address:#05x}`" if first else "",
                    f"`{register.name}`" if first else "",
                    _bits(field),
                    f"`{field.name}`",
                    _ACCESS[field.kind],
                    _meaning(field),
                )
            )
    return rows


def window_rows(described: RegisterMap) -> list[tuple[str, ...]]:
    """Rows of the table with WINDOW_HEADS."""
    return [
        (
            f"`{window.base:#x}`",
            f"`{window.name}`",
            str(window.instances),
            f"`{window.stride:#x}`" if window.instances > 1 else "",
            f"{window.entries:,}",
            f"{window.bits} in {window.word_bytes} bytes",
            "write" if window.written else "read",
            window.meaning,
        )
        for window in described.windows
    ]


def _bits(field: Field) -> str:
    return str(field.low) if field.width == 1 else f"{field.low + field.width - 1}:{field.low}"


def _meaning(field: Field) -> str:
    if field.kind is Kind.CONSTANT:
        return f"{field.meaning} {field.reset:#x}."
    if field.kind is Kind.SETTING and field.limited:
        return f"{field.meaning} From {field.least} to {field.largest:,}; {field.reset} after a reset."
    return field.meaning
