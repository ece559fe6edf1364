"""Verilog expressions.

Verilog makes the operands of an operator as wide as what surrounds it, so that an expression may mean something else
inside of another one. Here the operands of every operator have the width of its result before, or that of each other
where the result is one bit: then the width around makes no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

_CHAINED = ("&", "|", "^", "+", "&&", "||")
"""Operators that may follow each other without parentheses."""


@dataclass(frozen=True, slots=True)
class Expression:
    """`operator` is the outermost one, or None for a name, a constant, and whatever is in brackets of its own."""

    text: str
    operator: str | None = None

    def inside(self, operator: str) -> str:
        """The text as an operand of `operator`."""
        alone = self.operator is None or (self.operator == operator and operator in _CHAINED)
        return self.text if alone else f"({self.text})"


def constant(bits: str) -> Expression:
    """A constant, the most significant bit first."""
    width = len(bits)
    if width == 1 or set(bits) - set("01"):
        return Expression(f"{width}'b{bits}")
    value = int(bits, 2)
    return Expression(f"{width}'d{value}" if width <= 32 else f"{width}'h{value:x}")


def unary(operator: str, operand: Expression) -> Expression:
    return Expression(f"{operator}{operand.text if operand.operator is None else f'({operand.text})'}", operator)


def binary(operator: str, left: Expression, right: Expression) -> Expression:
    return Expression(f"{left.inside(operator)} {operator} {right.inside(operator)}", operator)


def either(condition: Expression, yes: Expression, no: Expression) -> Expression:
    """`yes` where the condition holds, otherwise `no`."""
    return Expression(f"{condition.inside('?')} ? {yes.inside('?')} : {no.inside('?')}", "?")


def concatenation(parts: list[Expression]) -> Expression:
    """Parts, the most significant first."""
    texts = []
    for text, equal in groupby(part.text for part in parts):
        times = len(list(equal))
        texts += [text] if times == 1 else [f"{{{times}{{{text}}}}}"] if times > 2 else [text] * times
    if len(texts) == 1:
        return Expression(texts[0])
    return Expression("{" + ", ".join(texts) + "}")
