"""Verilog-2005 of a component, to be read and taken away: every module once, with a name that says what it is."""

from __future__ import annotations

import hashlib
import inspect
import re
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Fragment
from amaranth.lib import wiring

from zeroskip.rtl.emit import SRAM, SharedModules, ports_by_name, sram_instance
from zeroskip.rtl.sram import Sram
from zeroskip.rtl.verilog.names import Names, plain, snake
from zeroskip.rtl.verilog.netlist import Ports, ports_of
from zeroskip.rtl.verilog.rtlil import Module, parse
from zeroskip.rtl.verilog.source_names import better_names
from zeroskip.rtl.verilog.write import write_module

_SRAM_PORTS: Ports = {
    port: (port, "output" if port == "r_data" else "input")
    for port in ("clk", "w_en", "w_addr", "w_data", "r_en", "r_addr", "r_data")
}


@dataclass(frozen=True, kw_only=True)
class SramInstance:
    """A memory of a design: the instance `path` below the top module, and its size."""

    path: tuple[str, ...]
    depth: int
    width: int

    @property
    def name(self) -> str:
        """The path as one word."""
        return "_".join(self.path)


@dataclass(frozen=True, kw_only=True)
class Verilog:
    """A design as Verilog: the text of each module by its name, the `top` one first, what each is in a sentence, and
    the memories of the design. `ports` are those of the top module: name, direction and width."""

    top: str
    modules: dict[str, str]
    summaries: dict[str, str]
    ports: list[tuple[str, str, int]]
    srams: list[SramInstance]


class _Platform(SharedModules):
    """Instances of shared modules and of memories stand in the module that holds them, without one around them."""

    def _instance(self, component: Any, parameters: Hashable, **clock: Any) -> Elaboratable:
        return self._bare_instance(component, parameters, **clock)

    def get_sram(self, sram: Sram) -> Elaboratable:
        return sram_instance(sram)


def emit(component: wiring.Component, *, prefix: str, contents: Mapping[str, str] | None = None) -> Verilog:
    """Verilog of a component, in which the names of all modules begin with `prefix`. `contents` are files with what
    memories hold at the start, by SramInstance.name."""
    platform = _Platform()
    classes: dict[str, type] = {}
    modules = _modules(component, "top", platform, classes)
    done: set[str] = set()
    while todo := set(platform.modules) - done:
        for name in sorted(todo):
            modules += _modules(platform.modules[name], name, platform, classes)
            done.add(name)
    return _Design(modules, classes, prefix, contents or {}).verilog()


def _modules(component: wiring.Component, name: str, platform: _Platform, classes: dict[str, type]) -> list[Module]:
    """The modules of a component, and the classes of those that are components."""
    fragment = Fragment.get(component, platform)
    _find_classes(fragment, name, classes)
    ports = {port: (value, None) for port, (_, value) in ports_by_name(component).items()}
    with warnings.catch_warnings():
        # Shared components are elaborated once.
        warnings.simplefilter("ignore")
        text, places = rtlil.convert_fragment(fragment, ports, name, emit_src=False)
    modules = parse(text)
    better = better_names(places.items())
    for module in modules:
        module.better = {wire: name for (inside, wire), name in better.items() if inside == module.name}
    return modules


def _find_classes(fragment: Any, path: str, classes: dict[str, type]) -> None:
    for origin in fragment.origins or ():
        if isinstance(origin, wiring.Component):
            classes[path] = type(origin)
            break
    for number, (inside, name, _) in enumerate(fragment.subfragments):
        _find_classes(inside, f"{path}.{name or f'U${number}'}", classes)


class _Design:
    def __init__(
        self, modules: list[Module], classes: Mapping[str, type], prefix: str, contents: Mapping[str, str]
    ) -> None:
        self._modules = {module.name: module for module in modules}
        self._classes = classes
        self._prefix = prefix
        self._contents = contents
        self._ports = {name: ports_of(module) for name, module in self._modules.items()} | {SRAM: _SRAM_PORTS}
        self._instances = {name: _instances(module) for name, module in self._modules.items()}
        self._filled = {
            place for sram in self._srams("top") if sram.name in contents for place in self._places("top", sram.path)
        }

    def verilog(self) -> Verilog:
        """The texts of the modules, equal ones once."""
        names = Names()
        texts: dict[str, str] = {}
        summaries: dict[str, str] = {}
        # From the innermost modules on, so that those around equal ones are equal too.
        same: dict[tuple[str, str], str] = {}
        final: dict[str, str] = {SRAM: SRAM}
        for module in reversed(self._ordered()):
            stem = self._stem(module)
            text = self._text(module, {**final, module: ""})
            key = (stem, hashlib.sha256(text.encode()).hexdigest())
            if key in same:
                final[module] = same[key]
                continue
            final[module] = same[key] = name = names.take(stem)
            summaries[name] = _first_sentence(self._classes[module]) if module in self._classes else ""
            texts[name] = text.replace("module  (", f"module {name} (", 1).replace("module  #(", f"module {name} #(", 1)
        ports = [
            (name, direction, self._modules["top"].wires[f"\\{port}"].width)
            for port, (name, direction) in self._ports["top"].items()
        ]
        modules = dict(reversed(texts.items()))
        return Verilog(top=final["top"], modules=modules, summaries=summaries, ports=ports, srams=self._srams("top"))

    def _ordered(self) -> list[str]:
        """The modules, those around others before them."""
        found: dict[str, None] = {}

        def visit(name: str) -> None:
            for inside in self._instances[name].values():
                if inside != SRAM:
                    visit(inside)
            found.setdefault(name)

        visit("top")
        return list(reversed(found))

    def _stem(self, module: str) -> str:
        """The name of a module, before it is told from others of its class."""
        if module in self._classes:
            return f"{self._prefix}_{snake(self._classes[module].__name__)}"
        return f"{self._prefix}_{plain(module.split('.')[-1])}"

    def _text(self, module: str, names: Mapping[str, str]) -> str:
        own, given = self._parameters(module)
        return write_module(
            self._modules[module], module_names=names, ports=self._ports, parameters=given, own_parameters=own
        )

    def _parameters(self, module: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """The parameters of a module that name files with the contents of its memories, and those that it gives to its
        instances. The top module knows the files."""
        if not self._contents:
            return {}, {}
        top = module == "top"
        filled = [sram for sram in self._srams(module) if (module, sram.path) in self._filled]
        own = {} if top else {_parameter(sram.path): "" for sram in filled}
        given: dict[str, dict[str, str]] = {}
        for sram in filled:
            first, *rest = sram.path
            value = f'"{self._contents.get(sram.name, "")}"' if top else _parameter(sram.path)
            given.setdefault(first, {})[_parameter(tuple(rest)) if rest else "CONTENTS"] = value
        cells = {plain(cell.name): cell.name for cell in self._modules[module].cells}
        return own, {cells[name]: values for name, values in given.items()}

    def _places(self, module: str, path: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
        """A memory in a module, as each module on the way to it sees it."""
        inside = {plain(name): kind for name, kind in self._instances[module].items()}[path[0]]
        deeper = self._places(inside, path[1:]) if inside != SRAM else []
        return [(module, path), *deeper]

    def _srams(self, module: str) -> list[SramInstance]:
        """The memories in a module."""
        found = []
        for cell in self._modules[module].cells:
            kind = cell.kind.removeprefix("\\")
            if kind == SRAM:
                size = {"depth": cell.number("DEPTH"), "width": cell.number("WIDTH")}
                found.append(SramInstance(path=(plain(cell.name),), **size))
            elif kind in self._modules:
                found += [
                    SramInstance(path=(plain(cell.name), *inside.path), depth=inside.depth, width=inside.width)
                    for inside in self._srams(kind)
                ]
        return found


def _parameter(path: tuple[str, ...]) -> str:
    return f"{'_'.join(path)}_contents".upper()


def _instances(module: Module) -> dict[str, str]:
    """The modules of the instances in a module, by the instances' names."""
    return {cell.name: cell.kind.removeprefix("\\") for cell in module.cells if not cell.kind.startswith("$")}


def _first_sentence(of: type) -> str:
    """What a component is, in a sentence."""
    text = re.sub(r"\s+", " ", (inspect.getdoc(of) or "").split("\n\n")[0])
    return text.split(". ")[0].rstrip(".") + "."
