"""Writes a module of a design as Verilog-2005."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from zeroskip.rtl.verilog.expressions import Expression, binary, concatenation, constant, either, unary
from zeroskip.rtl.verilog.names import Names, plain
from zeroskip.rtl.verilog.netlist import Netlist, Ports, Process, Target, hint, is_made_up, statements, wire_names
from zeroskip.rtl.verilog.rtlil import (
    Assign,
    Case,
    Cell,
    Const,
    Memory,
    Module,
    Part,
    Sig,
    Switch,
    cut,
    joined,
    width_of,
)
from zeroskip.rtl.verilog.simplify import simplify

INLINE_LENGTH = 72
"""Longest expression, in characters, that stands inside of another one."""

LINE = 112
"""Lines are broken where they would be longer, if they can be."""

_BITWISE = {"$and": "&", "$or": "|", "$xor": "^", "$add": "+", "$sub": "-"}
_COMPARED = {"$eq": "==", "$ne": "!=", "$lt": "<", "$le": "<=", "$gt": ">", "$ge": ">="}
_REDUCED = {"$reduce_or": "|", "$reduce_bool": "|", "$reduce_and": "&", "$reduce_xor": "^"}
_ALONE = {"$mul", "$sshr", "$shift", "$shr", "$shl", "$modfloor", "$divfloor", "$memrd_v2", "$dff"}
"""Cells whose expression is never inside of another one: its operands have not the width of its result."""


@dataclass(eq=False)
class _Chosen:
    """A value that depends on conditions: that of the first arm whose condition holds, otherwise `otherwise`."""

    arms: list[tuple[Sig, list[str], _Value]]
    otherwise: _Value
    readers: int = 0
    name: str = ""


_Value: TypeAlias = "Sig | _Chosen"


def write_module(
    module: Module,
    *,
    module_names: Mapping[str, str],
    ports: Mapping[str, Ports],
    parameters: Mapping[str, Mapping[str, str]],
    own_parameters: Mapping[str, str],
) -> str:
    """The Verilog text of a module, without comments around it.

    `module_names` are the Verilog names of all modules by those in the design, `ports` the ports of each, `parameters`
    the values of further parameters of this module's instances, and `own_parameters` the defaults of further parameters
    of its own.
    """
    simplify(module)
    netlist = Netlist(module, ports)
    # The first time finds out how often each wire is read, and by its name.
    counted = _Writer(netlist, module_names, parameters, own_parameters)
    counted.write()
    return _Writer(netlist, module_names, parameters, own_parameters, counted).write()


class _Writer:
    def __init__(
        self,
        netlist: Netlist,
        module_names: Mapping[str, str],
        parameters: Mapping[str, Mapping[str, str]],
        own_parameters: Mapping[str, str],
        counted: _Writer | None = None,
    ) -> None:
        self._netlist = netlist
        self._module = netlist.module
        self._module_names = module_names
        self._parameters = parameters
        self._own_parameters = own_parameters
        self._counted = counted
        self._names = Names()
        for parameter in own_parameters:
            self._names.take(parameter)
        self._wire_names = wire_names(netlist, self._names)
        self._instance_names = {cell.name: self._names.take(plain(cell.name)) for cell in netlist.instances}
        # An instance around this module may have the memory's own name.
        self._memory_names = {name: self._names.take(f"{plain(name)}_memory") for name in self._module.memories}
        self._readers: Counter[str] = Counter()
        self._by_name: set[str] = set()
        self._fields: dict[Part, str] = {}
        self._declared: list[str] = []
        self._started: list[str] = []
        self._assigned: list[str] = []
        self._todo: list[str] = []
        self._done: set[str] = set()
        self._next_states = self._find_next_states()
        self._registers = {
            part.wire for cell in netlist.registers for part in cell.ports["Q"] if isinstance(part, Part)
        }

    def write(self) -> str:
        blocks = self._register_blocks()
        blocks += [self._memory_write(cell) for cell in self._netlist.writes]
        instances = [self._instance(cell) for cell in self._netlist.instances]
        memories = [line for memory in self._module.memories.values() for line in self._memory(memory)]
        for wire in self._module.wires.values():
            if wire.name in self._netlist.live and not is_made_up(wire.name):
                self._need(wire.name)
        while self._todo:
            self._assign_wire(self._todo.pop(0))
        fields = [f"    wire {_range(part.width)}{name} = {self._slice(part)};" for part, name in self._fields.items()]
        started = ["    initial begin", *self._started, "    end"] if self._started else []
        sections = [self._declared, memories, fields, started, self._assigned, *blocks, *instances]
        lines = self._head()
        for section in sections:
            if section:
                lines += ["", *section]
        return "\n".join([*lines, "endmodule", ""])

    # Declarations

    def _head(self) -> list[str]:
        ports = []
        for port, (name, direction) in self._netlist.own_ports.items():
            wire = self._module.wires[f"\\{port}"]
            kind = "reg" if wire.name in self._registers else "wire"
            ports.append(f"    {direction:6} {kind:4} {_range(wire.width)}{name}")
        own = [f'    parameter {name} = "{default}"' for name, default in self._own_parameters.items()]
        head = f"module {self._module_names[self._module.name]} "
        if own:
            head += "#(\n" + ",\n".join(own) + "\n) "
        return [head + "(", *(",\n".join(ports)).split("\n"), ");"]

    def _memory(self, memory: Memory) -> list[str]:
        name = self._memory_names[memory.name]
        lines = [f"    reg {_range(memory.width)}{name} [0:{memory.size - 1}];"]
        contents = self._netlist.contents.get(memory.name)
        if contents is None:
            return lines
        bits = "".join(part.bits for part in reversed(contents.ports["DATA"]) if isinstance(part, Const))
        words = [bits[len(bits) - (i + 1) * memory.width : len(bits) - i * memory.width] for i in range(memory.size)]
        index = self._names.take("word")
        lines.append(f"    integer {index};")
        if set(bits) <= {"0"}:
            zero = constant("0" * memory.width).text
            loop = f"for ({index} = 0; {index} < {memory.size}; {index} = {index} + 1) {name}[{index}] = {zero};"
            return [*lines, f"    initial {loop}"]
        filled = [f"        {name}[{at}] = {constant(word).text};" for at, word in enumerate(words)]
        return [lines[0], "    initial begin", *filled, "    end"]

    def _need(self, wire: str) -> str:
        """The Verilog name of a wire, which is declared and driven somewhere."""
        if wire not in self._wire_names:
            wanted = hint(wire, self._netlist, self._wire_names)
            self._wire_names[wire] = self._names.take(plain(wanted))
        if wire not in self._done:
            self._done.add(wire)
            self._todo.append(wire)
        return self._wire_names[wire]

    def _assign_wire(self, wire: str) -> None:
        """Declares a wire, and drives it unless an instance or a clock does."""
        found = self._module.wires[wire]
        name = self._wire_names[wire]
        width = self._netlist.width(wire)
        driver = self._netlist.driver.get(wire)
        keep = "(* keep *) " if "\\keep" in found.attributes else ""
        if wire in self._registers:
            if found.direction is None:
                self._declared.append(f"    {keep}reg {_range(width)}{name};")
            if found.init:
                self._started.append(f"        {name} = {constant(found.init).text};")
            return
        if found.direction is None:
            self._declared.append(f"    {keep}wire {_range(width)}{name};")
        if isinstance(driver, Target):
            self._assigned += self._choices(driver, name, width)
        elif isinstance(driver, Cell):
            self._assigned += self._cell_lines(driver, name, width)
        elif driver is not None:
            self._assigned += _statement(f"    assign {name} = ", self._value(driver).text)

    # Signals

    def _value(self, sig: Sig, width: int | None = None, *, signed: bool = False) -> Expression:
        """A signal as an expression of `width` bits."""
        have = width_of(sig)
        width = have if width is None else width
        sig = cut(sig, 0, width)
        if have < width:
            top = sig[-1] if sig else Const("0")
            if signed and isinstance(top, Part):
                sig = (*sig, *[top.cut(top.width - 1, 1)] * (width - have))
            else:
                bit = top.bits[0] if signed and isinstance(top, Const) else "0"
                sig = joined([*sig, Const(bit * (width - have))])
        if len(sig) == 1:
            return self._part(sig[0])
        return concatenation([self._part(part) for part in reversed(sig)])

    def _part(self, part: Const | Part) -> Expression:
        if isinstance(part, Const):
            return constant(part.bits)
        wire = part.wire
        if part.low == 0 and part.width == self._netlist.width(wire):
            self._readers[wire] += 1
            if is_made_up(wire) and self._may_inline(wire):
                driver = self._netlist.driver[wire]
                assert isinstance(driver, Cell)
                found = self._cell(driver, part.width)
                if len(found.text) <= INLINE_LENGTH:
                    return found
            return Expression(self._need(wire))
        self._by_name.add(wire)
        if part in self._netlist.fields:
            if part not in self._fields:
                self._fields[part] = self._names.take(plain(self._module.called(self._netlist.fields[part])))
                self._need(wire)
            return Expression(self._fields[part])
        return Expression(self._slice(part))

    def _slice(self, part: Part) -> str:
        name = self._need(part.wire)
        high = part.low + part.width - 1
        return f"{name}[{high}]" if part.width == 1 else f"{name}[{high}:{part.low}]"

    def _may_inline(self, wire: str) -> bool:
        driver = self._netlist.driver.get(wire)
        return (
            self._counted is not None
            and isinstance(driver, Cell)
            and driver.kind not in _ALONE
            and wire not in self._netlist.aliases
            and wire not in self._counted._by_name
            and self._counted._readers[wire] == 1
        )

    # Combinational logic

    def _cell(self, cell: Cell, width: int) -> Expression:
        """The expression of a cell whose result has `width` bits."""
        kind = cell.kind
        if kind == "$not":
            return unary("~", self._input(cell, "A", width))
        if kind == "$neg":
            return unary("-", self._input(cell, "A", width))
        if kind in _BITWISE:
            return binary(_BITWISE[kind], self._input(cell, "A", width), self._input(cell, "B", width))
        if kind == "$mux":
            yes, no = self._input(cell, "B", width), self._input(cell, "A", width)
            return either(self._value(cell.ports["S"]), yes, no)
        if kind in _REDUCED:
            operand = self._value(cell.ports["A"])
            return operand if width_of(cell.ports["A"]) == 1 else unary(_REDUCED[kind], operand)
        if kind in _COMPARED:
            return self._comparison(cell)
        raise ValueError(f"{kind} is a cell that cannot be written as Verilog")

    def _input(self, cell: Cell, port: str, width: int) -> Expression:
        signed = all(cell.number(f"{name}_SIGNED") for name in ("A", "B") if f"{name}_SIGNED" in cell.parameters)
        return self._value(self._netlist.input_of(cell, port), width, signed=signed and cell.kind != "$mux")

    def _comparison(self, cell: Cell) -> Expression:
        operands = [cell.ports["A"], cell.ports["B"]]
        signed = bool(cell.number("A_SIGNED") and cell.number("B_SIGNED"))
        width = max(1, *map(width_of, operands))
        left, right = (self._value(operand, width, signed=signed) for operand in operands)
        if signed and cell.kind not in ("$eq", "$ne"):
            left, right = (Expression(f"$signed({one.text})") for one in (left, right))
        return binary(_COMPARED[cell.kind], left, right)

    def _cell_lines(self, cell: Cell, name: str, width: int) -> list[str]:
        """The assignment of a cell's result to the wire `name`."""
        if cell.kind not in _ALONE:
            return _statement(f"    assign {name} = ", self._cell(cell, width).text)
        if cell.kind == "$memrd_v2":
            if cell.number("CLK_ENABLE"):
                raise ValueError("a memory that is read with a clock cannot be written as Verilog")
            memory = self._memory_names[cell.parameters["MEMID"].strip('"').replace("\\", "")]
            return [f"    assign {name} = {memory}[{self._address(cell)}];"]
        if cell.kind == "$mul":
            return self._product(cell, name, width)
        return self._shift(cell, name, width)

    def _product(self, cell: Cell, name: str, width: int) -> list[str]:
        signed = bool(cell.number("A_SIGNED") and cell.number("B_SIGNED"))
        left, right = (self._value(self._netlist.input_of(cell, port)) for port in ("A", "B"))
        if signed:
            left, right = (Expression(f"$signed({one.text})") for one in (left, right))
        else:
            # In braces, an operand does not become as wide as the product before it is computed.
            left, right = (one if one.operator is None else Expression(f"{{{one.text}}}") for one in (left, right))
        return _statement(f"    assign {name} = ", binary("*", left, right).text)

    def _shift(self, cell: Cell, name: str, width: int) -> list[str]:
        """Shifts and divisions: they are as wide as the wider of their operand and their result."""
        signed = bool(cell.number("A_SIGNED"))
        by = cell.ports["B"]
        if cell.number("B_SIGNED"):
            raise ValueError("a shift in both directions cannot be written as Verilog")
        if cell.kind == "$shift" and signed:
            # Simulators and synthesis do not agree on the bits above the sign.
            raise ValueError("a part of a signed number from a variable bit on cannot be written as Verilog")
        wide = max(width, width_of(cell.ports["A"]))
        if cell.kind in ("$modfloor", "$divfloor"):
            if signed:
                raise ValueError("a signed division cannot be written as Verilog")
            wide = max(wide, width_of(by))
            operator = "%" if cell.kind == "$modfloor" else "/"
            found = binary(operator, self._value(cell.ports["A"], wide), self._value(by, wide))
        else:
            operand = self._value(cell.ports["A"], wide, signed=signed)
            operator = "<<" if cell.kind == "$shl" else ">>"
            if operator == ">>" and signed:
                operand, operator = Expression(f"$signed({operand.text})"), ">>>"
            found = binary(operator, operand, self._value(by))
        if wide == width:
            return _statement(f"    assign {name} = ", found.text)
        whole = self._names.take(f"{name}_whole")
        self._declared.append(f"    wire {_range(wide)}{whole};")
        low = f"{whole}[0]" if width == 1 else f"{whole}[{width - 1}:0]"
        return [*_statement(f"    assign {whole} = ", found.text), f"    assign {name} = {low};"]

    # Processes that drive a wire: a choice for each part of it that is assigned on its own

    def _choices(self, target: Target, name: str, width: int) -> list[str]:
        edges = {0, width}
        for one in statements(target.process):
            if isinstance(one, Assign):
                for part in one.target:
                    if isinstance(part, Part):
                        edges |= {part.low, part.low + part.width}
        ordered = sorted(edges)
        lines = []
        for low, end in pairwise(ordered):
            whole = (low, end) == (0, width)
            left = name if whole else f"{name}[{low}]" if end - low == 1 else f"{name}[{end - 1}:{low}]"
            value = self._fold(target.process, (Const("x" * (end - low)),), low, end - low)
            _count_readers(value)
            prelude: list[str] = []
            if isinstance(value, _Chosen):
                text = self._choice(value, name, end - low, prelude, 2)
            else:
                text = self._value(value).text
            lines += [*prelude, *_statement(f"    assign {left} = ", text)]
        return lines

    def _fold(self, body: Process, value: _Value, low: int, width: int) -> _Value:
        """What `width` bits of the target from `low` on have after the statements, if they had `value` before."""
        for one in body:
            if isinstance(one, Assign):
                (part,) = one.target
                assert isinstance(part, Part)
                if part.low <= low and low + width <= part.low + part.width:
                    value = cut(one.value, low - part.low, width)
            elif any(_touches(inner, low, width) for inner in statements([one])):
                value = self._fold_switch(one, value, low, width)
        return value

    def _fold_switch(self, switch: Switch, before: _Value, low: int, width: int) -> _Value:
        arms: list[tuple[Sig, list[str], _Value]] = []
        for case in switch.cases:
            value = self._fold(case.body, before, low, width)
            if not case.patterns:
                before = value
                break
            arms.append((switch.on, case.patterns, value))
        while arms and arms[-1][2] == before:
            arms.pop()
        return _Chosen(arms, before) if arms else before

    def _choice(self, value: _Value, name: str, width: int, prelude: list[str], depth: int) -> str:
        """The text of a value. One that several others need has a wire of its own."""
        if not isinstance(value, _Chosen):
            return self._value(value).inside("?")
        if value.name:
            return value.name
        indent = "    " * depth
        lines = []
        for on, patterns, arm in value.arms:
            condition = self._condition(on, patterns).inside("?")
            lines.append(f"{condition} ? {self._arm(arm, name, width, prelude, depth)} :")
        lines.append(self._choice_end(value.otherwise, name, width, prelude, depth))
        text = "\n" + "\n".join(f"{indent}{line}" for line in lines)
        if value.readers < 2:
            return text
        value.name = self._names.take(f"{name}_before")
        self._declared.append(f"    wire {_range(width)}{value.name};")
        prelude += _statement(f"    assign {value.name} = ", text)
        return value.name

    def _arm(self, value: _Value, name: str, width: int, prelude: list[str], depth: int) -> str:
        text = self._choice(value, name, width, prelude, depth + 1)
        return f"({text})" if text.startswith("\n") else text

    def _choice_end(self, value: _Value, name: str, width: int, prelude: list[str], depth: int) -> str:
        """The last line of a choice: another choice goes on in the same column."""
        text = self._choice(value, name, width, prelude, depth)
        return text.strip() if text.startswith("\n") else text

    def _condition(self, on: Sig, patterns: list[str]) -> Expression:
        """Whether a signal fits one of the patterns."""
        found = [self._fits(on, pattern) for pattern in patterns]
        text = found[0]
        for other in found[1:]:
            text = binary("||", text, other)
        return text

    def _fits(self, on: Sig, pattern: str) -> Expression:
        known = [bit for bit, value in enumerate(reversed(pattern)) if value != "-"]
        if not known:
            return constant("1")
        bits = "".join(reversed([pattern[len(pattern) - 1 - bit] for bit in known]))
        sig = joined([part for bit in known for part in cut(on, bit, 1)]) if "-" in pattern else on
        value = self._value(sig)
        if len(bits) == 1:
            return value if bits == "1" else unary("!", value)
        return binary("==", value, constant(bits))

    # Clocked logic

    def _find_next_states(self) -> dict[str, Target]:
        """The processes that say what a register takes next, by the register's wire, where they drive nothing else."""
        readers: Counter[str] = Counter()
        for sig in _all_read(self._module):
            readers.update({part.wire for part in sig if isinstance(part, Part)})
        found = {}
        for cell in self._netlist.registers:
            (q,) = cell.ports["Q"]
            d = cell.ports["D"]
            assert isinstance(q, Part)
            if len(d) == 1 and isinstance(d[0], Part) and readers[d[0].wire] == 1:
                driver = self._netlist.driver.get(d[0].wire)
                if isinstance(driver, Target) and d[0].width == self._module.wires[d[0].wire].width:
                    found[q.wire] = driver
        return found

    def _register_blocks(self) -> list[list[str]]:
        """What the registers take at an edge of the clock; those with the same conditions share a block."""
        groups: dict[object, tuple[Sig, Process]] = {}
        for cell in self._netlist.registers:
            (q,) = cell.ports["Q"]
            assert isinstance(q, Part)
            if q.wire not in self._netlist.live:
                continue
            if not cell.number("CLK_POLARITY"):
                raise ValueError("a register of the falling edge cannot be written as Verilog")
            clock = cell.ports["CLK"]
            body: Process = [Assign(target=(q,), value=cell.ports["D"])]
            if q.wire in self._next_states:
                body = _retargeted(self._next_states[q.wire].process, q)
                # A register keeps what it has without a word.
                body = [one for one in body if not (isinstance(one, Assign) and one.value == (q,))]
            _, merged = groups.setdefault((clock, _shape(body)), (clock, []))
            _merge(merged, body)
        return [self._register_block(clock, body) for clock, body in groups.values()]

    def _register_block(self, clock: Sig, body: Process) -> list[str]:
        lines = self._clocked(body, 2)
        head = f"    always @(posedge {self._value(clock).text})"
        if len(lines) == 1 and len(body) == 1:
            return [f"{head} {lines[0].strip()}"]
        return [f"{head} begin", *lines, "    end"]

    def _clocked(self, body: Process, depth: int) -> list[str]:
        lines = []
        indent = "    " * depth
        for one in body:
            if isinstance(one, Assign):
                (part,) = one.target
                assert isinstance(part, Part)
                whole = part.width == self._module.wires[part.wire].width
                left = self._need(part.wire) if whole else self._slice(part)
                lines += _statement(f"{indent}{left} <= ", self._value(one.value).text)
            else:
                lines += self._clocked_switch(one, depth)
        return lines

    def _clocked_switch(self, switch: Switch, depth: int) -> list[str]:
        indent = "    " * depth
        cases = list(switch.cases)
        while cases and not cases[-1].body:
            cases.pop()
        bodies = [self._clocked(case.body, depth + 1) for case in cases]
        plain_values = all("-" not in pattern for case in cases for pattern in case.patterns)
        if width_of(switch.on) > 1 and plain_values and len(cases) > 2:
            lines = [f"{indent}case ({self._value(switch.on).text})"]
            for case, body in zip(cases, bodies, strict=True):
                labels = ", ".join(constant(pattern).text for pattern in case.patterns) or "default"
                if len(body) == 1:
                    lines.append(f"{indent}    {labels}: {body[0].strip()}")
                else:
                    inner = [f"    {line}" for line in body]
                    lines += [f"{indent}    {labels}: begin", *inner, f"{indent}    end"]
            if all(case.patterns for case in cases):
                lines.append(f"{indent}    default: ;")
            return [*lines, f"{indent}endcase"]
        lines = []
        word = "if"
        for case, body in zip(cases, bodies, strict=True):
            head = f"{word} ({self._condition(switch.on, case.patterns).text})" if case.patterns else "else"
            if word == "if" and not case.patterns:
                return [line.removeprefix("    ") for line in body]
            if len(body) == 1:
                lines.append(f"{indent}{head} {body[0].strip()}")
            else:
                lines += [f"{indent}{head} begin", *body, f"{indent}end"]
            word = "else if"
        return lines

    def _address(self, cell: Cell) -> str:
        """The address of a word; a memory of one word has none."""
        return self._value(cell.ports["ADDR"], max(1, width_of(cell.ports["ADDR"]))).text

    def _memory_write(self, cell: Cell) -> list[str]:
        memory = self._memory_names[cell.parameters["MEMID"].strip('"').replace("\\", "")]
        word = f"{memory}[{self._address(cell)}]"
        enable, data = cell.ports["EN"], cell.ports["DATA"]
        width = width_of(data)
        bits = [cut(enable, bit, 1) for bit in range(width)]
        edges = [0, *(bit for bit in range(1, width) if bits[bit] != bits[bit - 1]), width]
        lines = [f"    always @(posedge {self._value(cell.ports['CLK']).text}) begin"]
        for low, end in pairwise(edges):
            piece = word if end - low == width else f"{word}[{end - 1}:{low}]"
            head = "        " if bits[low] == (Const("1"),) else f"        if ({self._value(bits[low]).text}) "
            lines += _statement(f"{head}{piece} <= ", self._value(cut(data, low, end - low)).text)
        return [*lines, "    end"]

    # Instances

    def _instance(self, cell: Cell) -> list[str]:
        kind = cell.kind.removeprefix("\\")
        given = {name: value for name, value in cell.parameters.items()}
        given |= self._parameters.get(cell.name, {})
        head = f"    {self._module_names.get(kind, kind)} "
        values = [f".{name}({value})" for name, value in given.items()]
        if values and len(", ".join(values)) < LINE // 2:
            head += f"#({', '.join(values)}) "
        elif values:
            head += "#(\n" + ",\n".join(f"        {value}" for value in values) + "\n    ) "
        ports = []
        for port, (name, direction) in self._netlist.ports(cell).items():
            sig = cell.ports[port]
            part = sig[0]
            unread = direction == "output" and isinstance(part, Part) and part.wire not in self._netlist.live
            ports.append(f"        .{name}({'' if unread else self._value(sig).text})")
        return [*f"{head}{self._instance_names[cell.name]} (".split("\n"), *(",\n".join(ports)).split("\n"), "    );"]


def _all_read(module: Module) -> list[Sig]:
    """Every signal that something in the module reads."""
    found = []
    for cell in module.cells:
        found += [sig for port, sig in cell.ports.items() if port not in ("Y", "Q") and cell.kind[0] == "$"]
        found += [sig for sig in cell.ports.values() if cell.kind[0] != "$"]
    for process in module.processes:
        found += [one.value if isinstance(one, Assign) else one.on for one in statements(process)]
    return found + [one.value for one in module.connections if _is_port(module, one)]


def _is_port(module: Module, one: Assign) -> bool:
    return any(isinstance(part, Part) and module.wires[part.wire].direction == "output" for part in one.target)


def _retargeted(body: Process, register: Part) -> Process:
    """The statements of a process with a register in place of the wire that the process drives."""
    found: Process = []
    for one in body:
        if isinstance(one, Assign):
            (part,) = one.target
            assert isinstance(part, Part)
            found.append(Assign(target=(Part(register.wire, part.low, part.width),), value=one.value))
        else:
            cases = [Case(patterns=case.patterns, body=_retargeted(case.body, register)) for case in one.cases]
            found.append(Switch(on=one.on, cases=cases))
    return found


def _shape(body: Process) -> object:
    """Equal for processes that differ only in what they assign."""
    shape: list[object] = []
    for one in body:
        if isinstance(one, Switch):
            shape.append((one.on, *((tuple(case.patterns), _shape(case.body)) for case in one.cases)))
        elif not shape or shape[-1] is not None:
            shape.append(None)
    return tuple(shape)


def _merge(body: Process, more: Process) -> None:
    """Adds to a process the assignments of another one of the same shape."""
    if not body:
        body += more
        return
    at = 0
    for one in more:
        if isinstance(one, Assign):
            while at < len(body) and isinstance(body[at], Assign):
                at += 1
            body.insert(at, one)
        else:
            while isinstance(body[at], Assign):
                at += 1
            into = body[at]
            assert isinstance(into, Switch)
            for case, added in zip(into.cases, one.cases, strict=True):
                _merge(case.body, added.body)
            at += 1


def _touches(one: Assign | Switch, low: int, width: int) -> bool:
    return isinstance(one, Assign) and any(
        isinstance(part, Part) and part.low < low + width and low < part.low + part.width for part in one.target
    )


def _count_readers(value: _Value) -> None:
    """Counts how many others need each choice."""
    if isinstance(value, _Chosen):
        value.readers += 1
        if value.readers == 1:
            for _, _, arm in value.arms:
                _count_readers(arm)
            _count_readers(value.otherwise)


def _range(width: int) -> str:
    return "" if width == 1 else f"[{width - 1}:0] "


def _statement(head: str, text: str) -> list[str]:
    """An assignment, over several lines where it is long."""
    if text.startswith("\n"):
        return f"{head.rstrip()}{text};".split("\n")
    line = f"{head}{text};"
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    lines = []
    while len(line) > LINE:
        places = [
            at for mark in (", ", " & ", " | ", " ? ", " : ") if (at := line.rfind(mark, len(indent) + 8, LINE)) > 0
        ]
        if not places:
            break
        at = max(places)
        at += 1 if line[at] == "," else 2 if line[at + 1] in "&|?:" else 0
        lines.append(line[:at].rstrip())
        line = indent + line[at:].lstrip()
    return [*lines, line]
