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


def fields(bits: Value, form: FloatFormat) -> Fields:
    """The fields of an operand (without the bits that the multiplier ignores)."""
    mantissa = bits[: form.mantissa_bits]
    field = bits[form.mantissa_bits : -1]
    normal, top = field.any(), field.all()
    none = Const(0)
    return Fields(
        sign=bits[-1],
        exponent=Cat(field[0] | ~normal, field[1:]),
        significand=Cat(mantissa, normal),
        zero=~bits[:-1].any(),
        infinite=top & ~mantissa.any() if form.infinities else none,
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
