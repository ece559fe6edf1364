"""Takes out of a module what generated logic has too much of: operations on constants, and ones that occur twice."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.rtl.verilog.rtlil import Assign, Cell, Const, Module, Part, Sig, Switch, cut, joined, width_of

_SHIFTS = {"$shl", "$shr", "$sshr", "$shift"}
_DECIDED = {"$eq", "$ne", "$lt", "$le", "$gt", "$ge"}
_COMMUTATIVE = {"$and", "$or", "$xor", "$add", "$mul", "$eq", "$ne"}


def simplify(module: Module) -> None:
    """Replaces, in place, wires that are constants or other signals, until none is left."""
    replaced: dict[str, Sig] = {}

    def now(sig: Sig) -> Sig:
        """A signal with every wire that was replaced."""
        while any(isinstance(part, Part) and part.wire in replaced for part in sig):
            sig = joined(
                [
                    piece
                    for part in sig
                    for piece in (
                        cut(replaced[part.wire], part.low, part.width)
                        if isinstance(part, Part) and part.wire in replaced
                        else (part,)
                    )
                ]
            )
        return sig

    while True:
        before = len(replaced)
        same: dict[object, Sig] = {}
        kept = []
        for cell in module.cells:
            cell.ports = {port: now(sig) for port, sig in cell.ports.items()}
            if cell.ports.get("Y") == () or cell.ports.get("Q") == ():
                # A result without bits.
                continue
            (result,) = cell.ports.get("Y", (None,)) if cell.kind.startswith("$") else (None,)
            if not isinstance(result, Part):
                kept.append(cell)
                continue
            key, made_up = _key(cell), result.wire.startswith("$")
            found = _simpler(cell) or (same.get(key) if made_up else None)
            if found is None:
                if made_up:
                    same[key] = (result,)
                kept.append(cell)
            elif made_up:
                replaced[result.wire] = found
            else:
                module.connections.append(Assign(target=(result,), value=found))
        module.cells = kept
        if len(replaced) == before:
            break
    for process in module.processes:
        _replace(process, now)
    for one in module.connections:
        one.value = now(one.value)


def _replace(body: list[Assign | Switch], now: Callable[[Sig], Sig]) -> None:
    for one in body:
        if isinstance(one, Assign):
            one.value = now(one.value)
        else:
            one.on = now(one.on)
            for case in one.cases:
                _replace(case.body, now)


def _key(cell: Cell) -> object:
    """Equal for cells that compute the same."""
    inputs = [(port, sig) for port, sig in cell.ports.items() if port != "Y"]
    if cell.kind in _COMMUTATIVE and cell.parameters["A_WIDTH"] == cell.parameters["B_WIDTH"]:
        inputs = [("", sig) for _, sig in sorted(inputs, key=repr)]
    return cell.kind, tuple(cell.parameters.items()), tuple(inputs)


def _simpler(cell: Cell) -> Sig | None:
    """A signal that equals the result of a cell, if there is one without an operation."""
    kind = cell.kind
    width = width_of(cell.ports["Y"])
    if kind in ("$and", "$or"):
        a, b = (cell.ports[port] for port in ("A", "B"))
        if width_of(a) != width or width_of(b) != width:
            return None
        zeros, ones = (Const("0" * width),), (Const("1" * width),)
        neutral, final = (ones, zeros) if kind == "$and" else (zeros, ones)
        if final in (a, b):
            return final
        return a if b == neutral else b if a in (neutral, b) else None
    if kind in ("$reduce_or", "$reduce_bool"):
        number = _number(cell.ports["A"])
        return None if number is None else (Const("0" * (width - 1) + str(int(number != 0))),)
    if kind == "$not" and all(isinstance(part, Const) for part in cell.ports["A"]):
        (constant,) = joined(list(cell.ports["A"]))
        assert isinstance(constant, Const)
        if constant.width == width and set(constant.bits) <= {"0", "1"}:
            return (Const("".join("10"[int(bit)] for bit in constant.bits)),)
        return None
    if kind == "$mux":
        select = cell.ports["S"]
        if select == (Const("1"),) or cell.ports["A"] == cell.ports["B"]:
            return cell.ports["B"]
        return cell.ports["A"] if select == (Const("0"),) else None
    if kind in _SHIFTS:
        return _moved(cell, width)
    if kind in _DECIDED and not (cell.number("A_SIGNED") and cell.number("B_SIGNED")):
        return _decided(cell)
    if kind == "$modfloor" and cell.ports["B"] == (Const("1"),):
        return (Const("0" * width),)
    return None


def _number(sig: Sig) -> int | None:
    """The number that a signal is, or None where it is no constant."""
    bits = "".join(part.bits for part in reversed(sig) if isinstance(part, Const))
    return int(bits or "0", 2) if len(bits) == width_of(sig) and set(bits) <= {"0", "1"} else None


def _moved(cell: Cell, width: int) -> Sig | None:
    """The result of a shift by a constant."""
    places, operand = _number(cell.ports["B"]), cell.ports["A"]
    if places is None or not operand or cell.number("B_SIGNED"):
        return None
    top: Const | Part = Const("0")
    if cell.number("A_SIGNED"):
        top = operand[-1].cut(operand[-1].width - 1, 1)
    wide = max(width, width_of(operand))
    moved: list[Const | Part] = [*operand, *[top] * (wide - width_of(operand))]
    if cell.kind == "$shl":
        moved = [*([Const("0" * places)] if places else []), *moved]
    else:
        moved = [*cut(tuple(moved), places, wide), *[top] * min(places, wide)]
    return cut(joined(moved), 0, width)


def _decided(cell: Cell) -> Sig | None:
    """The result of a comparison with a constant that no operand, or every operand, passes."""
    limit = _number(cell.ports["B"])
    largest = (1 << width_of(cell.ports["A"])) - 1
    if limit is None or _number(cell.ports["A"]) is not None:
        return None
    never = {
        "$eq": limit > largest,
        "$lt": limit == 0,
        "$gt": limit >= largest,
        "$ge": limit > largest,
        "$le": False,
        "$ne": False,
    }
    always = {"$ne": limit > largest, "$lt": limit > largest, "$ge": limit == 0, "$le": limit >= largest}
    if never[cell.kind]:
        return (Const("0"),)
    return (Const("1"),) if always.get(cell.kind) else None
