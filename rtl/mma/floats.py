"""The fields of floating-point numbers."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from zeroskip.model.mma.numerics import FloatFormat


@dataclass(frozen=True)
class Fields:
    """The fields of a number; all values are unsigned and combinational."""

    sign: Value
    exponent: Value
    """Biased; 1 for subnormal numbers, because their value has that exponent."""
    significand: Value
    """With the leading bit, `mantissa_bits` + 1 wide; meaningless for NaN and infinities."""
    zero: Value
    infinite: Value
    nan: Value


def unpack(bits: Value, form: FloatFormat) -> Value:
    """A number with its leading bit and the exponent of its value, so that what takes it need not look for subnormal
    numbers. `unpacked_bits` wide.

        +------+----------+---------+----------+
        | sign | exponent | leading | mantissa |
        +------+----------+---------+----------+
    """
    field = bits[form.mantissa_bits : -1]
    leading = field.any()
    return Cat(bits[: form.mantissa_bits], leading, field[0] | ~leading, field[1:], bits[-1])


def unpacked_bits(form: FloatFormat) -> int:
    """Width of an unpacked number of the format, which is that of an operand (without the bits that the multiplier
    ignores)."""
    return form.operand_bits + 1


def pack(number: Value, form: FloatFormat) -> Value:
    """The format's bits of an unpacked number."""
    mantissa, rest = number[: form.mantissa_bits], number[form.mantissa_bits :]
    return Cat(mantissa, rest[0] & rest[1], rest[2:])


def positive_zero(number: Value, form: FloatFormat) -> Value:
    """The unpacked number, +0 where it is a zero."""
    return Cat(number[:-1], number[-1] & number[: form.mantissa_bits + 1].any())


def unpacked_fields(number: Value, form: FloatFormat) -> Fields:
    """The fields of an unpacked number."""
    significand, exponent = number[: form.mantissa_bits + 1], number[form.mantissa_bits + 1 : -1]
    mantissa, top = significand[:-1], exponent.all()
    return Fields(
        sign=number[-1],
        exponent=exponent,
        significand=significand,
        zero=~significand.any(),
        infinite=top & ~mantissa.any() if form.infinities else Const(0),
        nan=top & (mantissa.any() if form.infinities else mantissa.all()),
    )


def leading_zeros(m: Module, value: Value) -> Value:
    """The number of zeros above the highest set bit of `value`, whose width is a power of two; the width if no bit is
    set."""
    width = len(value)
    if width == 1:
        return ~value
    # The top bit of a half's count is set if the half is all zeros. These are signals, because an expression that is
    # used twice is built twice.
    low = Signal(width.bit_length() - 1)
    high = Signal(width.bit_length() - 1)
    m.d.comb += [low.eq(leading_zeros(m, value[: width // 2])), high.eq(leading_zeros(m, value[width // 2 :]))]
    return Cat(Mux(high[-1], low[:-1], high[:-1]), high[-1] & ~low[-1], high[-1] & low[-1])
