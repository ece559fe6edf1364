"""The small faults that can be planted in a file, found in its syntax tree."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.MatMult: ast.Mult,
}
NAMES = {
    "rint": "floor",
    "floor": "ceil",
    "ceil": "floor",
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "amin": "amax",
    "amax": "amin",
    "argmin": "argmax",
    "argmax": "argmin",
    "any": "all",
    "all": "any",
    "ones": "zeros",
    "zeros": "ones",
    "sin": "cos",
    "cos": "sin",
}
"""Functions and methods that are exchanged. `round` becomes `math.floor`, which needs an import."""

OPTIONAL_ONLY = {"strict", "stacklevel", "prefix", "dir"}
"""Keyword arguments that change nothing but errors and names of temporary files."""

_Place = tuple[ast.AST, str, int | None]


@dataclass(frozen=True)
class Mutation:
    """A fault in a `function` ("Class.method", "" for the module): the statement `before` becomes `after`. `lines` are
    the first and the last line of the statement, without the statements in it; `number` is its place among all
    mutations of the file. What is not `inside` a function runs once, at the import."""

    function: str
    inside: bool
    operator: str
    before: str
    after: str
    lines: tuple[int, int]
    number: int

    @property
    def key(self) -> str:
        """What names the mutation as long as the statement stays as it is, wherever it moves."""
        return f"{self.function}: {self.before} -> {self.after}"


def mutations(source: str) -> list[Mutation]:
    """All mutations of a file, in the order of its statements."""
    tree = ast.parse(source)
    found = []
    for number, (function, inside, statement, operator, places) in enumerate(_changes(tree)):
        before = _header(statement)
        with _changed(places):
            # A statement that is replaced as a whole is no more in the tree.
            after = next((new for _, new, whole in places if whole), None)
            text = _header(statement) if after is None else _header(after)  # type: ignore[arg-type]
        found.append(Mutation(function, inside, operator, before, text, _lines(statement), number))
    return found


def mutated(source: str, number: int | None) -> str:
    """The file's code with one mutation, without comments. With None nothing is changed but comments and layout: the
    tests must pass then."""
    tree = ast.parse(source)
    if number is not None:
        *_, (_, _, _, _, places) = (change for _, change in zip(range(number + 1), _changes(tree), strict=False))
        _changed(places).__enter__()
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


class _changed:
    """Replaces nodes of the tree within the block."""

    def __init__(self, places: list[tuple[_Place, object, bool]]) -> None:
        self.places = places
        self.old: list[object] = []

    def __enter__(self) -> None:
        self.old = [_exchange(place, new) for place, new, _ in self.places]

    def __exit__(self, *_: object) -> None:
        for (place, _, _), old in zip(self.places, self.old, strict=True):
            _exchange(place, old)


def _exchange(place: _Place, new: object) -> object:
    parent, field, index = place
    if index is None:
        old = getattr(parent, field)
        setattr(parent, field, new)
        return old
    old = getattr(parent, field)[index]
    getattr(parent, field)[index] = new
    return old


_Change = tuple[str, bool, ast.stmt, str, list[tuple[_Place, object, bool]]]


def _changes(tree: ast.Module) -> Iterator[_Change]:
    for function, inside, place in _statements(tree, "", False):
        parent, field, index = place
        statement: ast.stmt = getattr(parent, field)[index]
        for operator, new in _whole_statements(function, statement):
            yield function, inside, statement, operator, [(place, new, True)]
        for operator, where, other in _parts(statement):
            yield function, inside, statement, operator, [(where, other, False)]


def _statements(node: ast.AST, function: str, inside: bool) -> Iterator[tuple[str, bool, _Place]]:
    """Every statement with the function around it, but those that only types or messages need."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        inner = getattr(node, field, [])
        for index, child in enumerate(inner if isinstance(inner, list) else []):
            if isinstance(child, ast.stmt):
                if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                    continue
                yield function, inside, (node, field, index)
            named = isinstance(child, ast.FunctionDef | ast.ClassDef)
            name = f"{function}.{child.name}".lstrip(".") if named else function
            yield from _statements(child, name, inside or isinstance(child, ast.FunctionDef))


def _whole_statements(function: str, statement: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    match statement:
        case ast.Raise() | ast.Assert():
            yield "no error", ast.Pass()
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield "no statement", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) if not function.endswith("__init__"):
            yield "no statement", ast.Pass()
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if any(
            isinstance(node, ast.Name) and node.id == name for node in ast.walk(value)
        ):
            yield "no statement", ast.Pass()
        case ast.Continue():
            yield "break", ast.Break()
        case ast.Break():
            yield "no break", ast.Pass()
        case ast.If() | ast.While():
            yield "condition negated", _with_test(statement, ast.UnaryOp(ast.Not(), statement.test))
        case ast.FunctionDef(body=body) if len(body) > 2 and not _gives_values(statement):
            early = copy.copy(statement)
            early.body = [*body[: len(body) // 2], ast.Return(), *body[len(body) // 2 :]]
            yield "early return", early


def _gives_values(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Yield | ast.YieldFrom) or (isinstance(node, ast.Return) and node.value is not None)
        for node in ast.walk(function)
    )


def _with_test(statement: ast.If | ast.While, test: ast.expr) -> ast.stmt:
    changed = copy.copy(statement)
    changed.test = test
    return changed


def _parts(statement: ast.stmt) -> Iterator[tuple[str, _Place, object]]:
    """The changes in a statement's own expressions."""
    match statement:
        case ast.FunctionDef(args=arguments):
            for field in ("defaults", "kw_defaults"):
                for index, value in enumerate(getattr(arguments, field)):
                    if value is not None:
                        yield from _expression((arguments, field, index), value)
        case ast.ClassDef() | ast.Raise() | ast.Import() | ast.ImportFrom() | ast.Match():
            return
        case ast.With(items=items):
            for item in items:
                if item.optional_vars is None:
                    nothing = ast.parse("__import__('contextlib').nullcontext()", mode="eval").body
                    yield "no context", (item, "context_expr", None), nothing
                yield from _expression((item, "context_expr", None), item.context_expr)
        case ast.Assert():
            yield from _expression((statement, "test", None), statement.test)
        case _:
            for field, value in ast.iter_fields(statement):
                if field not in ("body", "orelse", "handlers", "finalbody", "annotation"):
                    for place, child in _children(statement, field, value):
                        yield from _expression(place, child)


def _children(parent: ast.AST, field: str, value: object) -> Iterator[tuple[_Place, ast.AST]]:
    if isinstance(value, ast.AST):
        yield (parent, field, None), value
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if isinstance(child, ast.AST):
                yield (parent, field, index), child


def _expression(place: _Place, node: ast.AST) -> Iterator[tuple[str, _Place, object]]:
    if isinstance(node, ast.JoinedStr):
        # Only words of a message.
        return
    for operator, new in _replacements(node):
        yield operator, place, new
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("warnings.warn", "cast"):
        return
    for field, value in ast.iter_fields(node):
        for inner, child in _children(node, field, value):
            yield from _expression(inner, child)


def _replacements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Constant(value=bool()):
            yield "constant", ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield "constant", ast.Constant(node.value + 1)
            yield "constant", ast.Constant(node.value - 1)
        case ast.Constant(value=float()):
            yield "constant", ast.Constant(node.value * 10 if node.value else 1.0)
            yield "constant", ast.Constant(node.value / 10 if node.value else -1.0)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield "sign or not", node.operand
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and, or", ast.BoolOp(other, node.values)
        case ast.BinOp() if type(node.op) in COMPUTED and not _is_text(node):
            yield "arithmetic", ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
        case ast.Compare():
            for index, sign in enumerate(node.ops):
                signs = [*node.ops[:index], COMPARED[type(sign)](), *node.ops[index + 1 :]]
                yield "comparison", ast.Compare(node.left, signs, node.comparators)
        case ast.IfExp():
            yield "condition negated", ast.IfExp(node.test, node.orelse, node.body)
        case ast.Slice():
            for field in ("lower", "upper"):
                bound = getattr(node, field)
                if bound is not None and not isinstance(bound, ast.Constant | ast.UnaryOp):
                    more = ast.BinOp(bound, ast.Add(), ast.Constant(1))
                    yield "slice", ast.Slice(**{**vars(node), field: more})
        case ast.comprehension(ifs=[_, *_]):
            yield "no condition", ast.comprehension(node.target, node.iter, [], node.is_async)
        case ast.Call():
            yield from _calls(node)


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str) for side in sides)


def _calls(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in NAMES:
        yield "other function", ast.Call(ast.Name(NAMES[function.id], ast.Load()), node.args, node.keywords)
    if isinstance(function, ast.Attribute) and function.attr in NAMES:
        other = ast.Attribute(function.value, NAMES[function.attr], ast.Load())
        yield "other function", ast.Call(other, node.args, node.keywords)
    if isinstance(function, ast.Name) and function.id == "round" and len(node.args) == 1:
        yield "other function", ast.Call(ast.Name("int", ast.Load()), node.args, [])
    if isinstance(function, ast.Name) and function.id == "range":
        stop = 0 if len(node.args) == 1 else 1
        less = ast.BinOp(node.args[stop], ast.Sub(), ast.Constant(1))
        yield "range", ast.Call(function, [*node.args[:stop], less, *node.args[stop + 1 :]], [])
        if stop == 0:
            yield "range", ast.Call(function, [ast.Constant(1), *node.args], [])
    # Arguments of our own functions are mostly required, so that a call without one would fail at once.
    if isinstance(function, ast.Attribute) or (isinstance(function, ast.Name) and function.id in dir(builtins)):
        for index, keyword in enumerate(node.keywords):
            if keyword.arg is not None and keyword.arg not in OPTIONAL_ONLY:
                fewer = [*node.keywords[:index], *node.keywords[index + 1 :]]
                yield "no keyword", ast.Call(function, node.args, fewer)


def _header(statement: ast.stmt) -> str:
    """A statement without the statements in it, in one line."""
    shown = copy.copy(statement)
    if isinstance(shown, ast.FunctionDef):
        early = any(isinstance(inner, ast.Return) and inner.value is None for inner in shown.body)
        shown.body = [ast.Return()] if early else [ast.Expr(ast.Constant(...))]
        shown.decorator_list = []
    elif hasattr(shown, "body"):
        shown.body = [ast.Expr(ast.Constant(...))]
    for field in ("orelse", "finalbody", "handlers"):
        if hasattr(shown, field):
            setattr(shown, field, [])
    if isinstance(shown, ast.Try):
        shown.finalbody = [ast.Pass()]
    return " ".join(ast.unparse(shown).split())


def _lines(statement: ast.stmt) -> tuple[int, int]:
    body = getattr(statement, "body", None)
    last = max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or statement.lineno
    return statement.lineno, last
