"""The walk along the traced graph, which turns each node into steps."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from zeroskip.model.network.calls import label_of, target_name
from zeroskip.model.network.moving import is_move, is_reshape
from zeroskip.model.network.node_keys import COMPARED, PLACE, VALUE
from zeroskip.model.network.reading.functions import function_step
from zeroskip.model.network.reading.gates import EXPANSIONS, is_expanded_gate, read_expanded
from zeroskip.model.network.reading.joins import CONCATENATIONS, joined
from zeroskip.model.network.reading.layers import layer_step
from zeroskip.model.network.reading.means import mean_steps
from zeroskip.model.network.reading.moves import moves_parts, parts_or_move
from zeroskip.model.network.reading.own_tensors import own_tensor
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.reading.several import require_single
from zeroskip.model.network.reading.shape_queries import shape_query
from zeroskip.model.network.reading.supported import SUPPORTED_IS
from zeroskip.model.network.reading.weighted import weighted
from zeroskip.model.network.steps import NetworkStep, at_place
from zeroskip.model.network.trace import SIZES


class Walk:
    """`input` are the samples where they are known, `compared` what forward() compares their number with."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        self.module = module
        self.graph = graph
        self.reading = Reading(module)
        self.input: Tensor | None = None
        self.compared: set[int] = set()
        self.made: list[NetworkStep] = []

    def steps(self) -> list[NetworkStep]:
        """The steps of the whole graph, the last of which gives the output."""
        used = _used(self.graph)
        for node in self.graph.nodes:
            if node not in used:
                continue
            try:
                self._read(node)
            except _Misplaced as error:
                raise at_place(str(error), error.node.meta[PLACE]) from error
            except ValueError as error:
                raise at_place(str(error), node.meta[PLACE]) from error
        return self.made

    def _read(self, node: fx.Node) -> None:
        """Adds the steps of a node."""
        reading = self.reading
        if node.op == "placeholder":
            reading.list.begin(node)
            self.input = node.meta.get(VALUE)
            self.compared = node.meta[COMPARED]
        elif node.op == "output":
            self._read_output(node.args[0])
        elif not reading.tokens.is_constant(node) and node.op != "get_attr" and not shape_query(reading, node):
            read_expanded(reading, node)
            moves = is_move(self.module, node) or is_reshape(node)
            for source in node.all_input_nodes:
                if source in reading.misplaced and not moves:
                    raise _Misplaced(source, reading.misplaced[source])
            require_single(reading, node)
            if not weighted(reading, node) and not reading.tokens.read(node):
                self._read_values(node)

    def _read_output(self, given: object) -> None:
        if isinstance(given, fx.Node) and given in self.reading.misplaced:
            raise _Misplaced(given, self.reading.misplaced[given])
        if not isinstance(given, fx.Node) or given not in self.reading.list:
            raise ValueError(f"the network must return the result of its last step, not {given}")
        if self.reading.is_several(given):
            raise ValueError(
                f"the network gives values of shape {self.reading.shape(given)} for {SIZES[1]} samples; it must give "
                "samples in the first dimension: reshape them at the end"
            )
        self.made = self.reading.list.up_to(given)

    def _read_values(self, node: fx.Node) -> None:
        """Adds the steps of a node that reads values of the network."""
        reading = self.reading
        self._require_values(node)
        if node.op == "call_method" and node.target in EXPANSIONS and is_expanded_gate(reading, node):
            reading.expanded[node] = node.all_input_nodes[0]
            reading.list.same(node, reading.expanded[node])
            return
        if (is_move(self.module, node) or moves_parts(reading, node)) and parts_or_move(reading, node):
            return
        if (step := joined(reading, node)) is not None:
            reading.list.add(node, step)
        if node in reading.list:
            return
        (reading.current,) = reading.inputs(node)
        if made := self._steps(node):
            reading.list.add(node, *made)
        else:
            # A step that does nothing gives the value that it takes.
            reading.list.same(node, reading.current)

    def _require_values(self, node: fx.Node) -> None:
        """Raises ValueError unless the node reads values of this network alone."""
        owned = [source for source in node.all_input_nodes if source.op == "get_attr"]
        if owned and node.target not in CONCATENATIONS:
            raise ValueError(own_tensor(self.module, node, str(owned[0].target)))
        if not self.reading.inputs(node):
            raise ValueError(f"{label_of(node)} is {target_name(node)} without a value of the network; {SUPPORTED_IS}")

    def _steps(self, node: fx.Node) -> list[NetworkStep]:
        """The steps of a node of one input."""
        if node.op != "call_module" and node.target in (torch.mean, "mean"):
            return mean_steps(self.reading, node)
        step = (layer_step if node.op == "call_module" else function_step)(self.reading, node)
        return [] if step is None else [step]


class _Misplaced(ValueError):
    """What is wrong with a `node`, which another reads."""

    def __init__(self, node: fx.Node, problem: str) -> None:
        super().__init__(problem)
        self.node = node


def _used(graph: fx.Graph) -> set[fx.Node]:
    """The nodes that the output depends on, and the inputs. (fx's own elimination keeps random operations.)"""
    used = {node for node in graph.nodes if node.op in ("placeholder", "output")}
    for node in reversed(graph.nodes):
        if node in used:
            used |= set(node.all_input_nodes)
    return used
