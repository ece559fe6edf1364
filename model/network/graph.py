"""Reads a torch module as a graph of steps, by tracing it with torch.fx.

torch.fx and not torch.export: its nodes are the user's own layers and functions, each with the line of forward() that
calls it, so that errors and weights keep their names; torch.export would break layers into operators of tensors.
"""

import math
import operator
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from zeroskip.model.network.calls import argument, arguments, label_of, target_name, view_sizes
from zeroskip.model.network.kinds import is_plain, refuse_hidden_changes, torch_class
from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.moving import is_move, is_reshape, moved
from zeroskip.model.network.pieces import Pieces
from zeroskip.model.network.pooling import Pair, adaptive_window, average_window, max_window, pair
from zeroskip.model.network.same import require_same_counts, require_same_steps
from zeroskip.model.network.step_list import StepList
from zeroskip.model.network.steps import (
    ActivationStep,
    AddStep,
    AveragePoolStep,
    BatchNormStep,
    ClampStep,
    ConcatStep,
    ConvStep,
    FlattenStep,
    LinearStep,
    MaxPoolStep,
    MoveStep,
    MultiplyStep,
    NetworkStep,
    ReluStep,
    SoftmaxStep,
    at_place,
)
from zeroskip.model.network.token_reading import TokenReader
from zeroskip.model.network.trace import COMPARED, PLACE, RESHAPE_METHODS, RESHAPES, VALUE, at_least, trace
from zeroskip.model.network.wrappers import unwrapped

SUPPORTED = (
    "Linear, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, LSTM, GRU, RNN, additions, products of two values, "
    "concatenations, ReLU, ReLU6, Hardtanh, LeakyReLU, Sigmoid, Tanh, SiLU, GELU, Hardswish, Hardsigmoid, max and "
    "average pooling of one and two dimensions, adaptive poolings to sizes that divide the image, means, "
    "BatchNorm1d, BatchNorm2d, reshapes, transpositions, slices and nearest upsampling of each sample, LayerNorm, "
    "RMSNorm, Softmax, matrix products of values, scaled_dot_product_attention, MultiheadAttention, "
    "TransformerEncoder, Embedding, constants that are added or multiplied, Dropout, Identity, and at the end "
    "LogSoftmax"
)


def read_steps(module: nn.Module, samples: Tensor | None = None) -> list[NetworkStep]:
    """The steps of `module` in eval mode, each after those that it reads, without those that do nothing then (Dropout).
    The last one gives the output; without any step, the network gives its input.

    With `samples` (n, ...), inputs of the network, its forward() may look at shapes, and every step is checked: it must
    give what torch gives for a few of the samples. Without them nothing is known about shapes.

    Raises ValueError naming the layer or operation that is not supported, with its line in forward(), or saying why the
    module cannot be traced.
    """
    module = unwrapped(module)
    if torch_class(module) is not None:
        # Traced alone, a layer would appear as operations on its parameters.
        module = nn.Sequential(module)
    refuse_hidden_changes(module)
    if samples is not None:
        samples = at_least(as_inputs_of(module, samples), 1)
    with in_mode(module, training=False):
        graph = trace(module, samples)
        _refuse_hidden_writes(module, graph)
        reader = _Reader(module, graph)
        steps = reader.steps()
        if reader.input is not None and samples is not None:
            require_same_steps(reader.input, steps)
            require_same_counts(module, samples, reader.compared)
    return steps


def as_inputs_of(module: nn.Module, samples: Tensor) -> Tensor:
    """The samples in the floating-point type of the module's parameters."""
    kinds = [value.dtype for value in module.parameters() if value.is_floating_point()]
    numbers = samples.to(kinds[0]) if kinds else samples
    if _names_rows(module, numbers):
        return samples.long()
    return numbers


@torch.no_grad()
def _names_rows(module: nn.Module, samples: Tensor) -> bool:
    """Whether a network takes whole numbers, the rows of an embedding, and not numbers."""
    embeds = any(isinstance(part, nn.Embedding) for part in module.modules())
    if not embeds or not bool((samples == samples.round()).all()):
        return False
    with in_mode(module, training=False):
        try:
            module(samples[:2].clone())
        except Exception:
            # The user's forward() can raise anything, and does so for numbers where an embedding reads them.
            return True
    return False


def _refuse_hidden_writes(module: nn.Module, graph: fx.Graph) -> None:
    """Raises ValueError for an in-place operation that changes a value which is used later as it was: the graph does
    not show that."""
    # Nodes of the same memory have the same first one; `stale` are those whose memory was written by another node.
    first: dict[fx.Node, fx.Node] = {}
    stale: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        for source in node.all_input_nodes:
            if source in stale:
                raise at_place(
                    f"operation '{stale[source].name}' changes its input in place, and {label_of(node)} uses that too; "
                    "use an operation that is not in place (inplace=False, x = x + y)",
                    stale[source].meta[PLACE],
                )
        in_place = _in_place(module, node)
        if in_place and not node.users:
            raise at_place(
                f"operation '{node.name}' changes its input in place, and its result is not used; use what it returns",
                node.meta[PLACE],
            )
        given = node.all_input_nodes[0] if node.all_input_nodes else node
        first[node] = first[given] if in_place or (given is not node and _may_share(module, node)) else node
        if in_place:
            stale |= {other: node for other, start in first.items() if start is first[node] and other is not node}


def _in_place(module: nn.Module, node: fx.Node) -> bool:
    """Whether a node changes the memory of its first input."""
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(str(node.target)), "inplace", False))
    if node.op not in ("call_function", "call_method"):
        return False
    called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if node.target in _IN_PLACE_ARGUMENT:
        return bool(argument(node, _IN_PLACE_ARGUMENT[node.target], "inplace", False))
    return (
        node.target in (operator.iadd, operator.imul)
        or bool(node.kwargs.get("inplace", False))
        or (called.endswith("_") and not called.endswith("__"))
    )


def _may_share(module: nn.Module, node: fx.Node) -> bool:
    """Whether the result of a node may be its first input, or a view of it."""
    if node.op == "call_module":
        layer = module.get_submodule(str(node.target))
        return is_plain(layer, nn.Identity, nn.Flatten, nn.Unflatten, *_DROPOUT_LAYERS)
    views = (*RESHAPES, *RESHAPE_METHODS, *_EXPANSIONS, *_COPIES, *_DROPOUTS)
    return node.target != "clone" and (node.target in views or is_move(module, node))


def _used(graph: fx.Graph) -> set[fx.Node]:
    """The nodes that the output depends on, and the inputs. (fx's own elimination keeps random operations.)"""
    used = {node for node in graph.nodes if node.op in ("placeholder", "output")}
    for node in reversed(graph.nodes):
        if node in used:
            used |= set(node.all_input_nodes)
    return used


class _Misplaced(ValueError):
    """What is wrong with a `node`, which another reads."""

    def __init__(self, node: fx.Node, problem: str) -> None:
        super().__init__(problem)
        self.node = node


class _Reader:
    """Walks the graph. `list` has the steps read so far; `current` is the value that a node of one input reads, `input`
    the samples where they are known."""

    def __init__(self, module: nn.Module, graph: fx.Graph):
        self.module = module
        self.graph = graph
        self.list = StepList()
        self.tokens = TokenReader(module, self.list)
        self.current: fx.Node | None = None
        self.input: Tensor | None = None
        # What forward() compares the number of samples with.
        self.compared: set[int] = set()
        # Flat values that forward() makes images of 1 x 1, where shapes are not known.
        self.factors: set[fx.Node] = set()
        # Factors for channels that forward() expands to the size of the images, and what they are expanded from.
        self.expanded: dict[fx.Node, fx.Node] = {}
        # Values in parts, such as those of chunk(), or whose samples are not first, and what they were made of. What is
        # wrong with the second is an error where anything but a move reads them.
        self.parts: dict[fx.Node, fx.Node] = {}
        self.misplaced: dict[fx.Node, str] = {}
        # Nodes that give the last states of a recurrent layer, and that layer.
        self.last_states: dict[fx.Node, fx.Node] = {}
        # Values that are no tensors: the shape of a value, and its first element. The number of
        # samples is the same all along the network, so they never go stale.
        self.shapes: set[fx.Node] = set()
        self.sample_counts: set[fx.Node] = set()

    def steps(self) -> list[NetworkStep]:
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
        return self.list.steps

    def _read(self, node: fx.Node) -> None:
        """Adds the steps of a node."""
        if node.op == "placeholder":
            self.list.begin(node)
            self.input = node.meta.get(VALUE)
            self.compared = node.meta[COMPARED]
        elif node.op == "output":
            given = node.args[0]
            if isinstance(given, fx.Node) and given in self.misplaced:
                raise _Misplaced(given, self.misplaced[given])
            if not isinstance(given, fx.Node) or given not in self.list:
                raise ValueError(f"the network must return the result of its last step, not {given}")
        elif not self.tokens.is_constant(node) and node.op != "get_attr" and not self._shape_query(node):
            self._read_expanded(node)
            moves = is_move(self.module, node) or is_reshape(node)
            for source in node.all_input_nodes:
                if source in self.misplaced and not moves:
                    raise _Misplaced(source, self.misplaced[source])
            if self.tokens.read(node):
                return
            self._require_values(node)
            if node.op == "call_method" and node.target in _EXPANSIONS and self._is_expanded_gate(node):
                self.expanded[node] = node.all_input_nodes[0]
                self.list.same(node, self.expanded[node])
                return
            if (is_move(self.module, node) or self._moves_parts(node)) and self._parts_or_move(node):
                return
            if (joined := self._joined(node)) is not None:
                self.list.add(node, joined)
            if node in self.list:
                return
            (self.current,) = self._inputs(node)
            if made := self._steps(node):
                self.list.add(node, *made)
            else:
                # A step that does nothing gives the value that it takes.
                self.list.same(node, self.current)

    def _of_several(self, node: fx.Node, source: fx.Node) -> bool:
        """One of the results of an attention or a recurrent layer."""
        place = node.args[1] if node.target is operator.getitem else None
        if source in self.list and place == 0:
            self.list.same(node, source)
        elif source in self.tokens.ends and place == 1:
            # Of an LSTM, this is a pair again.
            self.last_states[node] = source
        elif source in self.last_states and place == 0:
            self.last_states[node] = self.last_states[source]
        else:
            raise ValueError(
                f"{label_of(node)} takes another result than supported of '{source.name}'; supported: the values of an "
                "attention, [0], the states of a recurrent layer, [0], and the last ones, [1], without those of cells"
            )
        return True

    def _moves_parts(self, node: fx.Node) -> bool:
        waiting = (*self.parts, *self.last_states)
        return is_reshape(node) and any(source in waiting for source in node.all_input_nodes)

    def _parts_or_move(self, node: fx.Node) -> bool:
        """Adds the step of a node that only moves values. Parts of a value (chunk), and values whose samples are not
        first, wait for the moves that read them. Returns whether the node is done; not so where shapes are not
        known."""
        source = node.all_input_nodes[0]
        if isinstance(source.meta.get(VALUE), tuple) and (source in self.list or source in self.last_states):
            return self._of_several(node, source)
        chain: list[fx.Node | None] = [node]
        whole = source
        while whole in self.parts:
            chain.insert(0, whole)
            whole = self.parts[whole]
        if self._shape(whole) is None:
            return False
        if whole in self.last_states:
            # Torch has layers and directions first, and then the samples.
            chain.insert(0, None)

        def move(value: Any) -> Any:
            for one in chain:
                value = value.transpose(0, 1) if one is None else moved(self.module, one, value)
            return value

        if isinstance(node.meta[VALUE], Tensor):
            try:
                if whole in self.last_states:
                    held = self.tokens.last_states(node, self.last_states[whole])
                    self.list.add(node, self.list.moved_from(node, held.number, held.value, move))
                else:
                    self.list.add(node, self.list.moved(node, whole, move))
                return True
            except ValueError as error:
                # Perhaps another move brings the samples back to the first dimension.
                self.misplaced[node] = str(error)
        self.parts[node] = source
        return True

    def _shape_query(self, node: fx.Node) -> bool:
        """Whether the node only asks for a shape: `x.shape`, `x.size()`, `x.size(0)`, `x.shape[0]`. Where shapes are
        known there are no such nodes."""
        source = node.args[0] if node.args else None
        if node.op == "call_function" and node.target is getattr and node.args[1] == "shape":
            self.shapes.add(node)
        elif node.op == "call_method" and node.target == "size":
            dimension = argument(node, 1, "dim", None)
            if dimension not in (None, 0):
                return False
            (self.shapes if dimension is None else self.sample_counts).add(node)
        elif node.op == "call_function" and node.target is operator.getitem and source in self.shapes:
            if node.args[1] != 0:
                return False
            self.sample_counts.add(node)
        else:
            return False
        return True

    def _inputs(self, node: fx.Node) -> list[fx.Node]:
        """The values that a node reads, without shapes."""
        return [
            source
            for source in node.all_input_nodes
            if source in self.list or source in self.parts or source in self.last_states
        ]

    def _require_values(self, node: fx.Node) -> None:
        """Raises ValueError unless the node reads values of this network alone."""
        owned = [source for source in node.all_input_nodes if source.op == "get_attr"]
        if owned:
            raise ValueError(self._own_tensor(node, str(owned[0].target)))
        if not self._inputs(node):
            raise ValueError(f"{label_of(node)} is {target_name(node)} without a value of the network; {_SUPPORTED_IS}")

    def _read_expanded(self, node: fx.Node) -> None:
        """Adds the steps of factors that were expanded, for a node that does not multiply by them."""
        for source in self.expanded.keys() & set(node.all_input_nodes):
            if node.target in _MULTIPLICATIONS:
                continue
            if self._shape(source) is None:
                raise ValueError(
                    f"{label_of(source)} is {target_name(source)}, which {label_of(node)} reads; supported: factors "
                    "for channels that are expanded for a product"
                )
            factors = self.expanded.pop(source)
            self.list.add(source, self.list.moved(source, factors, partial(moved, self.module, source)))

    def _is_expanded_gate(self, node: fx.Node) -> bool:
        """Whether a node expands factors (samples, channels, 1, 1) to the size of images, for a product."""
        source = node.args[0]
        assert isinstance(source, fx.Node)
        before, after = self._shape(source), self._shape(node)
        return source in self.list and (before is None or after is None or _is_gate(after, before))

    def _joined(self, node: fx.Node) -> NetworkStep | None:
        """The step of an operation that reads several values; None for a node that reads one."""
        if node.op != "call_module" and node.target in _ADDITIONS:
            return self._addition(node)
        if node.op != "call_module" and node.target in _MULTIPLICATIONS:
            return self._multiplication(node)
        if node.op != "call_module" and node.target in _CONCATENATIONS:
            return self._concatenation(node)
        inputs = self._inputs(node)
        if len(inputs) > 1:
            names = " and ".join(f"'{value.name}'" for value in inputs)
            raise ValueError(
                f"{label_of(node)} is {target_name(node)}, which joins {names}; values are joined by additions, "
                "products and concatenations alone"
            )
        return None

    def _pair(self, node: fx.Node, supported: str) -> tuple[fx.Node, fx.Node]:
        """The two values of the network that an operation joins."""
        pair = [argument(node, 0, "input", None), argument(node, 1, "other", None)]
        parts = [part for part in pair if isinstance(part, fx.Node) and part in self.list]
        if len(parts) != 2:
            raise ValueError(
                f"{label_of(node)} is {target_name(node)} with something that the network did not compute; supported: "
                f"{supported}"
            )
        return parts[0], parts[1]

    def _addition(self, node: fx.Node) -> AddStep:
        parts = self._pair(node, "the sum of two values (add a constant to the bias of a layer instead)")
        if argument(node, 2, "alpha", 1) != 1 or node.kwargs.get("out") is not None:
            raise ValueError(f"{label_of(node)} has an alpha, or an out; supported: the plain sum of two values")
        return AddStep(**self._about_pair(node, parts))

    def _multiplication(self, node: fx.Node) -> MultiplyStep:
        supported = "the product of two values (multiply the weights of a layer by a constant instead)"
        one, other = (self.expanded.get(part, part) for part in self._pair(node, supported))
        if node.kwargs.get("out") is not None:
            raise ValueError(f"{label_of(node)} has an out; supported: the plain product of two values")
        first, second = self._shape(one), self._shape(other)
        if first is None or second is None:
            if one in self.factors:
                one, other = other, one
            return MultiplyStep(**self._about(node, one, other), gate=True if other in self.factors else None)
        if _is_gate(second, first):
            one, other, first, second = other, one, second, first
        if _is_gate(first, second):
            return MultiplyStep(**self._about(node, one, other, images=True), gate=True)
        return MultiplyStep(**self._about_pair(node, (one, other)), gate=False)

    def _about_pair(self, node: fx.Node, parts: tuple[fx.Node, fx.Node]) -> dict[str, Any]:
        """As `_about`, of two values that torch broadcasts to the same shape."""
        shapes = [self._shape(part) for part in parts]
        result = self._shape(node)
        if None in shapes or result is None or shapes[0] == shapes[1]:
            return self._about(node, *parts)
        sources = []
        for part, shape in zip(parts, shapes, strict=True):
            assert shape is not None
            if len(shape) != len(result):
                raise ValueError(
                    f"{label_of(node)} joins values of the shapes {shapes[0]} and {shapes[1]}; supported: values of as "
                    "many dimensions, the first of which is that of the samples"
                )
            sources.append(self.list.expanded(node, part, result))
        return {**self.list.about(node), "sources": tuple(sources)}

    def _concatenation(self, node: fx.Node) -> ConcatStep | None:
        given = argument(node, 0, "tensors", None)
        known = isinstance(given, tuple | list) and any(part in self.list for part in given)
        if known and self._shape(node) is not None:
            self._joined_along(node, list(given))  # type: ignore[call-overload]
            return None
        if not isinstance(given, tuple | list) or any(part not in self.list for part in given):
            raise ValueError(
                f"{label_of(node)} is {target_name(node)} with something that it did not compute; {_SUPPORTED_IS}"
            )
        parts = [part for part in given if isinstance(part, fx.Node)]
        dimension = argument(node, 1, "dim", node.kwargs.get("axis", 0))
        shape = self._shape(parts[0])
        if dimension != 1 and (shape is None or not isinstance(dimension, int) or dimension % len(shape) != 1):
            raise ValueError(
                f"{label_of(node)} joins values along dimension {dimension}; supported: 1, that of channels and values"
            )
        return ConcatStep(**self._about(node, *parts))

    def _joined_along(self, node: fx.Node, parts: list[fx.Node]) -> None:
        """The steps of a concatenation along any dimension of each sample, of values and constants."""
        dimension = argument(node, 1, "dim", node.kwargs.get("axis", 0))
        if not isinstance(dimension, int):
            raise ValueError(f"{label_of(node)} joins values along {dimension}; supported: a dimension")
        shape, stack = self._shape(node), node.target is torch.stack
        assert shape is not None
        along = dimension % len(shape)
        if along == 0:
            raise ValueError(
                f"{label_of(node)} joins values along dimension {dimension}; supported: those of each sample, from 1 on"
            )
        if along == 1 and not stack and all(part in self.list for part in parts):
            self.list.add(node, ConcatStep(**self._about(node, *parts)))
            return
        pieces = Pieces(self.list, node)
        values = [part for part in parts if part in self.list]
        if any(part not in self.list and part not in self.tokens.constants for part in parts):
            raise ValueError(f"{label_of(node)} joins values with something that it did not compute; {_SUPPORTED_IS}")
        beside = pieces.held(values[0])
        held = [
            pieces.held(part) if part in self.list else self.tokens.constant_part(pieces, part, beside)
            for part in parts
        ]
        if stack:
            held = [pieces.move(part, lambda value: value.unsqueeze(along)) for part in held]
        if along > 1:
            held = [pieces.move(part, lambda value: value.movedim(along, 1)) for part in held]
        joined = pieces.concat(held)
        pieces.end(joined if along == 1 else pieces.move(joined, lambda value: value.movedim(1, along)))

    def _about(self, node: fx.Node, *parts: fx.Node, images: bool = False) -> dict[str, Any]:
        """What every step says of its node; without `parts`, it reads `current`. A step of `images` reads sequences as
        images of height 1."""
        read = parts or ((self.current,) if self.current is not None else ())
        return self.list.about(node, *read, lines=True if images and len(self._shape(read[0]) or ()) == 3 else None)

    def _own_tensor(self, node: fx.Node, tensor: str) -> str:
        """The message for an operation that uses a tensor of the network."""
        if tensor.startswith("_tensor_constant"):
            return f"{label_of(node)} is {target_name(node)} with a tensor that forward() makes; supported: {SUPPORTED}"
        name = tensor.rpartition(".")[0]
        layer = self.module.get_submodule(name)
        kind = next((kind for kind in _WITH_WEIGHTS if isinstance(layer, kind)), None)
        if kind is not None and torch_class(layer) is None:
            return (
                f"layer '{name}' is a {type(layer).__name__}, which computes something else than {kind.__name__}; "
                f"supported: {SUPPORTED}"
            )
        return (
            f"{label_of(node)} is {target_name(node)} with the tensor '{tensor}'; only weights of layers that are "
            f"called as layers are supported: {SUPPORTED}"
        )

    def _steps(self, node: fx.Node) -> list[NetworkStep]:
        """The steps of a node of one input."""
        if node.op != "call_module" and node.target in (torch.mean, "mean"):
            return self._mean_steps(node)
        step = self._module_step(node) if node.op == "call_module" else self._step(node)
        return [] if step is None else [step]

    def _step(self, node: fx.Node) -> NetworkStep | None:
        if node.target in (F.relu, torch.relu, F.relu_, torch.relu_, "relu", "relu_"):
            return ReluStep(**self._about(node))
        if node.target in (F.relu6, F.hardtanh, F.hardtanh_):
            limits = (0, 6) if node.target is F.relu6 else arguments(node, ("min_val", "max_val"), (-1.0, 1.0))
            return self._clamp(node, *limits)
        if node.target in (torch.clamp, "clamp", torch.clip, "clip", "clamp_"):
            return self._clamp(node, *arguments(node, ("min", "max"), (None, None)))
        if (function := _FUNCTIONS.get(node.target)) is not None:
            return self._activation(node, function)
        if is_reshape(node):
            return self._reshape(node)
        if node.target in (F.max_pool1d, torch.max_pool1d, F.max_pool2d, torch.max_pool2d):
            names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
            found = arguments(node, names, (None, None, 0, 1, False, False))
            return self._max_pool(node, *found, line=node.target in (F.max_pool1d, torch.max_pool1d))
        if node.target in (F.avg_pool1d, F.avg_pool2d):
            names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
            found = arguments(node, names, (None, None, 0, False, True, None))
            return self._average_pool(node, *found, line=node.target is F.avg_pool1d)
        if node.target in (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d):
            line = node.target is F.adaptive_avg_pool1d
            return self._adaptive(node, argument(node, 1, "output_size", None), AveragePoolStep, line=line)
        if node.target in (F.adaptive_max_pool1d, F.adaptive_max_pool2d):
            # With indices, it is another function.
            line = node.target is F.adaptive_max_pool1d
            return self._adaptive(node, argument(node, 1, "output_size", None), MaxPoolStep, line=line)
        if node.target in _DROPOUTS:
            if argument(node, 2, "train" if node.target is torch.dropout else "training", _DROPOUTS[node.target]):
                raise ValueError(f"{label_of(node)} drops values in eval mode too; call it with training=self.training")
            return None
        if node.op == "call_method" and node.target in _COPIES:
            self._require_copy(node)
            return None
        if (kind := _SOFTMAXES.get(node.target)) is not None:
            dtype = argument(node, 3 if node.target in (F.softmax, F.log_softmax) else 2, "dtype", None)
            if dtype not in (None, torch.float32, torch.float64):
                raise ValueError(f"{label_of(node)} is a {kind} in {dtype}; supported: float32 and float64")
            return self._softmax(node, kind, argument(node, 1, "dim", None))
        raise ValueError(f"{label_of(node)} is {target_name(node)}; supported: {SUPPORTED}")

    def _module_step(self, node: fx.Node) -> NetworkStep | None:
        module, label = self.module.get_submodule(str(node.target)), label_of(node)
        if len(node.args) != 1 or node.kwargs:
            raise ValueError(f"{label} is called with more than the step before it; supported: layers of one input")
        if is_plain(module, nn.Linear):
            shape = self._shape(self.current) or ()
            return LinearStep(**self._about(node), module=module, rows=math.prod(shape[1:-1]))
        if is_plain(module, nn.Conv1d) or is_plain(module, nn.Conv2d):
            line = isinstance(module, nn.Conv1d)
            self._require_dimensions(node, f"a {type(module).__name__}", 3 if line else 4)
            dilation = _pair(module.dilation, line=line, still=1)
            if dilation is None:
                raise ValueError(f"{label} has the dilation {module.dilation}; supported: two numbers")
            padding = _conv_padding(label, module, dilation)
            return ConvStep(**self._about(node, images=True), module=module, padding=padding, dilation=dilation)
        if is_plain(module, nn.MaxPool1d, nn.MaxPool2d):
            fields = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
            return self._max_pool(
                node, *(getattr(module, field) for field in fields), line=is_plain(module, nn.MaxPool1d)
            )
        if is_plain(module, nn.AvgPool1d, nn.AvgPool2d):
            line = is_plain(module, nn.AvgPool1d)
            sizes = (module.kernel_size, module.stride, module.padding, module.ceil_mode, module.count_include_pad)
            return self._average_pool(node, *sizes, None if line else module.divisor_override, line=line)
        if is_plain(module, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d):
            line = is_plain(module, nn.AdaptiveAvgPool1d)
            return self._adaptive(node, module.output_size, AveragePoolStep, line=line)
        if is_plain(module, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d):
            if module.return_indices:
                raise ValueError(f"{label} returns indices; supported: max pooling that returns values alone")
            line = is_plain(module, nn.AdaptiveMaxPool1d)
            return self._adaptive(node, module.output_size, MaxPoolStep, line=line)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and torch_class(module) is not None:
            flat = isinstance(module, nn.BatchNorm1d)
            line = flat and len(self._shape(self.current) or ()) == 3
            if not line:
                self._require_dimensions(node, f"a {type(module).__name__}", 2 if flat else 4)
            _require_eval(label, module)
            if module.running_mean is None or module.running_var is None:
                raise ValueError(
                    f"{label} has no running statistics, so it has no fixed function in eval mode; supported: "
                    "track_running_stats=True"
                )
            return BatchNormStep(**self._about(node, images=line), module=module, images=line or not flat)
        if is_plain(module, nn.ReLU):
            return ReluStep(**self._about(node))
        if is_plain(module, nn.Hardtanh):
            return self._clamp(node, module.min_val, module.max_val)
        if is_plain(module, nn.ReLU6):
            return self._clamp(node, 0, 6)
        for kind, function in _ACTIVATIONS.items():
            if is_plain(module, kind):
                return self._activation(node, function, module)
        if is_plain(module, nn.Flatten, nn.Unflatten):
            return self._reshape(node)
        if is_plain(module, nn.Identity):
            return None
        if is_plain(module, *_DROPOUT_LAYERS):
            _require_eval(label, module)
            return None
        if is_plain(module, nn.Softmax, nn.LogSoftmax):
            return self._softmax(node, "softmax" if is_plain(module, nn.Softmax) else "log_softmax", module.dim)
        if is_plain(module, nn.Softmax2d):
            return self._softmax(node, "softmax", -3)
        raise ValueError(f"{label} is a {type(module).__name__}; supported: {SUPPORTED}")

    def _shape(self, node: fx.Node | None) -> tuple[int, ...] | None:
        """The shape (samples, ...) of a node's value, or None where it is not known."""
        value = None if node is None else node.meta.get(VALUE)
        return tuple(value.shape) if isinstance(value, Tensor) else None

    def _require_dimensions(self, node: fx.Node, what: str, wanted: int) -> None:
        """Raises ValueError if the input of a layer is known not to have the dimensions that it is compiled for."""
        shape = self._shape(self.current)
        if shape is None and wanted == 3:
            raise ValueError(
                f"{label_of(node)} is {what}, which can only be compiled with samples of the network's input"
            )
        if shape is not None and len(shape) != wanted:
            names = {
                2: "(samples, values)",
                3: "(samples, channels, length)",
                4: "(samples, channels, height, width)",
            }[wanted]
            remedy = "; flatten them before it" if wanted == 2 else ""
            raise ValueError(f"{label_of(node)} is {what} on values of shape {shape}; supported: {names}{remedy}")

    def _mean_steps(self, node: fx.Node) -> list[NetworkStep]:
        """A mean over some dimensions: an average over images, and then the shape that torch gives."""
        if node.kwargs.get("dtype") is not None:
            raise ValueError(f"{label_of(node)} is a mean as {node.kwargs['dtype']}; supported: without a dtype")
        given = argument(node, 1, "dim", None)
        shape = self._shape(self.current)
        if shape is None or len(shape) == 4:
            listed = isinstance(given, tuple | list) and all(isinstance(size, int) for size in given)
            if listed and sorted(size % 4 for size in given) == [2, 3]:  # type: ignore[attr-defined]
                return self._image_mean(node)
        if shape is None:
            raise ValueError(
                f"{label_of(node)} is a mean over {given}; supported without samples of the input: height and width, "
                "(2, 3) or (-2, -1)"
            )
        over = _dimensions(given, len(shape))
        if over is None or 0 in over:
            raise ValueError(
                f"{label_of(node)} is a mean over {given}; supported: over dimensions of each sample, which begin with "
                "1"
            )
        kept = [dimension for dimension in range(1, len(shape)) if dimension not in over]
        channels, width = (math.prod(shape[dimension] for dimension in part) for part in (kept, over))
        assert self.current is not None

        def as_images(value: Tensor) -> Tensor:
            return value.permute(0, *kept, *over).reshape(len(value), channels, 1, width)

        moved = self.list.moved(node, self.current, as_images)
        assert moved.output is not None
        number = len(self.list.steps)
        averaged = moved.output.mean((2, 3), keepdim=True)
        about = {"label": label_of(node), "place": node.meta[PLACE]}
        value = node.meta[VALUE]
        return [
            moved,
            AveragePoolStep(**about, sources=(number,), output=averaged),
            self.list.moved_from(node, number + 1, averaged, lambda given: given.reshape(value.shape)),
        ]

    def _image_mean(self, node: fx.Node) -> list[NetworkStep]:
        """A mean over height and width: global pooling, and without `keepdim` flattening."""
        about = self._about(node)
        pooled = about["output"]
        if isinstance(pooled, Tensor):
            about["output"] = pooled.reshape(*pooled.shape[:2], 1, 1)
        pooling = AveragePoolStep(**about)
        if argument(node, 2, "keepdim", False):
            return [pooling]
        number = len(self.list.steps)
        return [pooling, FlattenStep(**{**self._about(node), "sources": (number,)}, width=None)]

    def _reshape(self, node: fx.Node) -> FlattenStep | MoveStep | None:
        """A flattening, another shape, or a reshape that changes nothing."""
        before, after = self._shape(self.current), self._shape(node)
        if before is None or after is None:
            return self._unknown_reshape(node)
        if after == before:
            return None
        # Also (samples, values, 1), on the way of a squeeze(-1).squeeze(-1).
        if after[:2] != (before[0], math.prod(before[1:])) or any(size != 1 for size in after[2:]):
            assert self.current is not None
            return self.list.moved(node, self.current, partial(moved, self.module, node))
        flat = {**self._about(node), "output": node.meta[VALUE].flatten(1)}
        return FlattenStep(**flat, width=after[1])

    def _unknown_reshape(self, node: fx.Node) -> FlattenStep:
        if node.op == "call_module":
            module = self.module.get_submodule(str(node.target))
            if isinstance(module, nn.Unflatten):
                if module.dim != 1 or tuple(module.unflattened_size)[1:] != (1, 1):
                    raise ValueError(
                        f"{label_of(node)} unflattens dimension {module.dim} to {module.unflattened_size}; supported: "
                        "1, to (channels, 1, 1), for the factors of a product"
                    )
                self.factors.add(node)
                return FlattenStep(**self._about(node), width=None)
            _require_flatten(node, module.start_dim, module.end_dim)
            return FlattenStep(**self._about(node), width=None)
        if node.target in (torch.flatten, "flatten"):
            _require_flatten(node, argument(node, 1, "start_dim", 0), argument(node, 2, "end_dim", -1))
            return FlattenStep(**self._about(node), width=None)
        if node.target in (torch.reshape, "reshape", "view"):
            return FlattenStep(**self._about(node), width=self._view_width(node))
        raise ValueError(f"{label_of(node)} is {target_name(node)}; supported: {SUPPORTED}")

    def _view_width(self, node: fx.Node) -> int | None:
        """The width in `view(n, width)`, None where it is -1."""
        sizes = view_sizes(node)
        samples_kept = sizes[2:] in ((), (1, 1)) and (sizes[0] == -1 or sizes[0] in self.sample_counts)
        if len(sizes) < 2 or not samples_kept or not isinstance(sizes[1], int):
            raise ValueError(
                f"{label_of(node)} reshapes to {tuple(sizes)}; supported: (samples, -1), (samples, width) and, for the "
                "factors of a product, (samples, width, 1, 1)"
            )
        if len(sizes) == 4:
            self.factors.add(node)
        return None if sizes[1] == -1 else sizes[1]

    def _require_copy(self, node: fx.Node) -> None:
        """A copy, or a conversion to another type, which must be the same type."""
        before, after = (None if one is None else one.meta.get(VALUE) for one in (self.current, node))
        if before is None and node.target in _COPIES[:3]:
            return
        if before is not None and after is not None and not after.is_floating_point() and bool((before == after).all()):
            # Whole numbers, which an embedding reads.
            return
        if before is None or after is None or before.dtype != after.dtype:
            raise ValueError(
                f"{label_of(node)} converts to another type; supported: a network of one floating-point type"
            )

    def _max_pool(self, node: fx.Node, *arguments: object, line: bool = False) -> MaxPoolStep:
        self._require_dimensions(node, "a max pooling", 3 if line else 4)
        kernel, stride, padding, dilation, ceil, indices = arguments
        apart = _pair(dilation, line=line, still=1)
        if apart is None or not isinstance(ceil, bool):
            raise ValueError(
                f"{label_of(node)} is a max pooling with dilation = {dilation} and ceil_mode = {ceil}; supported: "
                "numbers, and True or False"
            )
        sizes = _sizes(kernel, stride, padding, line=line)
        window = max_window(label_of(node), *sizes, indices)
        return MaxPoolStep(**self._about(node, images=True), **_named(window), dilation=apart, ceil=ceil)

    def _average_pool(self, node: fx.Node, *arguments: object, line: bool = False) -> AveragePoolStep:
        self._require_dimensions(node, "an average pooling", 3 if line else 4)
        kernel, stride, padding, ceil, *rest = arguments
        sizes = _sizes(kernel, stride, padding, line=line)
        ceil = ceil and not self._rounds_down(node, *sizes)
        window = average_window(label_of(node), *sizes, ceil, *rest)
        return AveragePoolStep(**self._about(node, images=True), **_named(window))

    def _clamp(self, node: fx.Node, low: object, high: object) -> NetworkStep:
        limits = [-math.inf if low is None else low, math.inf if high is None else high]
        if not all(isinstance(limit, int | float) for limit in limits) or not limits[0] < limits[1]:  # type: ignore[operator]
            raise ValueError(f"{label_of(node)} has the limits {low} and {high}; supported: two numbers in order")
        below, above = (float(limit) for limit in limits)  # type: ignore[arg-type]
        if (below, above) == (0, math.inf):
            return ReluStep(**self._about(node))
        return ClampStep(**self._about(node), low=below, high=above)

    def _activation(self, node: fx.Node, function: str, module: nn.Module | None = None) -> ActivationStep:
        """`module` is that of a layer, whose fields are the arguments."""
        parameter: object = 0.0
        if function == "leaky_relu":
            parameter = argument(node, 1, "negative_slope", 0.01) if module is None else module.negative_slope
            if not isinstance(parameter, int | float) or not math.isfinite(parameter):
                raise ValueError(f"{label_of(node)} has the slope {parameter}; supported: a finite number")
        if function == "gelu":
            approximate = node.kwargs.get("approximate", "none") if module is None else module.approximate
            function = {"none": "gelu", "tanh": "gelu_tanh"}[str(approximate)]
        assert isinstance(parameter, int | float)
        return ActivationStep(**self._about(node), function=function, argument=float(parameter))

    def _rounds_down(self, node: fx.Node, kernel: object, stride: object, padding: object) -> bool:
        """Whether ceil_mode is known to give the same size as without it: then no window reaches over the edge."""
        before, after = self._shape(self.current), self._shape(node)
        sizes = pair(kernel), pair(stride or kernel), pair(padding)
        if before is None or after is None or None in sizes:
            return False
        line = (1,) if len(before) == 3 else ()
        return (*line, *after[2:]) == tuple(
            (size + 2 * around - window) // step + 1
            for size, window, step, around in zip((*line, *before[2:]), *sizes, strict=True)  # type: ignore[arg-type]
        )

    def _adaptive(
        self,
        node: fx.Node,
        output_size: object,
        kind: type[AveragePoolStep] | type[MaxPoolStep],
        *,
        line: bool = False,
    ) -> NetworkStep | None:
        """An adaptive pooling: over the whole image, or with a window that is the same everywhere."""
        self._require_dimensions(node, "a pooling", 3 if line else 4)
        shape = self._shape(self.current)
        label = label_of(node)
        size = None if shape is None else (1, *shape[2:])[-2:]
        wanted = _pair(output_size, line=line, still=1) or output_size
        if kind is AveragePoolStep and pair(wanted) == (1, 1):
            return AveragePoolStep(**self._about(node, images=True))
        what = "average" if kind is AveragePoolStep else "max"
        window = adaptive_window(label, what, wanted, size)
        if window == (1, 1):
            return None
        return kind(**self._about(node, images=True), kernel=window, stride=window, padding=(0, 0))

    def _softmax(self, node: fx.Node, kind: str, dim: object) -> SoftmaxStep:
        shape = self._shape(self.current)
        positions = None if shape is None else math.prod(shape[2:])
        assert dim is None or isinstance(dim, int)
        if shape is not None and dim is not None and dim % len(shape) != 1:
            raise ValueError(f"{label_of(node)} is a {kind} over dimension {dim}; supported: 1, that of the classes")
        return SoftmaxStep(**self._about(node), kind=kind, dim=dim, positions=positions)


_SUPPORTED_IS = f"supported: {SUPPORTED}"

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
_MULTIPLICATIONS = (operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_", "multiply")
_EXPANSIONS = ("expand", "expand_as")
_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.LeakyReLU: "leaky_relu",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
    nn.Hardswish: "hardswish",
    nn.Hardsigmoid: "hardsigmoid",
}

_FUNCTIONS: dict[object, str] = {
    F.leaky_relu: "leaky_relu",
    F.sigmoid: "sigmoid",
    torch.sigmoid: "sigmoid",
    "sigmoid": "sigmoid",
    F.tanh: "tanh",
    torch.tanh: "tanh",
    "tanh": "tanh",
    F.silu: "silu",
    F.gelu: "gelu",
    F.hardswish: "hardswish",
    F.hardsigmoid: "hardsigmoid",
}

_CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate, torch.stack)

_WITH_WEIGHTS = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)

_DROPOUT_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)

_IN_PLACE_ARGUMENT: dict[object, int] = {
    F.relu: 1,
    F.relu6: 1,
    F.hardtanh: 3,
    F.leaky_relu: 2,
    F.silu: 1,
    F.hardswish: 1,
    F.hardsigmoid: 1,
}
"""The place of the argument `inplace`."""

_DROPOUTS: dict[object, bool] = {
    F.dropout: True,
    F.dropout1d: True,
    F.dropout2d: True,
    F.dropout3d: True,
    F.alpha_dropout: False,
    F.feature_alpha_dropout: False,
    torch.dropout: True,
}
"""Whether they drop values where `training` is not given."""

_COPIES = ("contiguous", "clone", "detach", "to", "float", "double", "long", "int", "type", "cpu")

_SOFTMAXES: dict[object, str] = {
    F.softmax: "softmax",
    torch.softmax: "softmax",
    "softmax": "softmax",
    F.log_softmax: "log_softmax",
    torch.log_softmax: "log_softmax",
    "log_softmax": "log_softmax",
}


def _is_gate(images: tuple[int, ...], factors: tuple[int, ...]) -> bool:
    """Whether values of the shape `factors` have one for each channel of `images`, which are larger."""
    ones = (1,) * (len(images) - 2)
    return len(images) in (3, 4) and factors == (*images[:2], *ones) and images != factors


def _require_flatten(node: fx.Node, start: object, end: object) -> None:
    if (start, end) != (1, -1):
        raise ValueError(f"{label_of(node)} flattens dimensions {start} to {end}; supported: 1 to -1")


def _require_eval(label: str, module: nn.Module) -> None:
    """Raises ValueError for a layer that train(False) leaves in train mode, in which it gives something else."""
    if module.training:
        raise ValueError(
            f"{label} is a {type(module).__name__} that stays in train mode; no module above it may override train()"
        )


def _pair(value: object, *, line: bool, still: int) -> Pair | None:
    """A size (height, width) that torch takes as one number or as two; of a `line`, whose height has the size `still`,
    as one."""
    if not line:
        return pair(value)
    across = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
    return (still, across) if isinstance(across, int) else None


def _sizes(kernel: object, stride: object, padding: object, *, line: bool) -> tuple[object, object, object]:
    """Those of a window over images, or over a `line`, which is a row of an image."""
    if not line:
        return kernel, stride, padding
    across = stride or kernel
    return _pair(kernel, line=True, still=1), _pair(across, line=True, still=1), _pair(padding, line=True, still=0)


def _dimensions(given: object, count: int) -> list[int] | None:
    """Dimensions that a function is told, from 0 to `count` - 1, all of them where it is told none; None where they are
    no numbers."""
    if given is None:
        return list(range(count))
    listed = [given] if isinstance(given, int) else given
    if not isinstance(listed, tuple | list) or not all(isinstance(one, int) for one in listed):
        return None
    return sorted({one % count for one in listed})


def _conv_padding(label: str, module: nn.Conv1d | nn.Conv2d, dilation: Pair) -> Pair:
    # The attribute kernel_size may have been changed since: torch computes with the weight.
    high, wide = (1, *module.weight.shape[2:])[-2:]
    same = dilation[0] * (high // 2), dilation[1] * (wide // 2)
    given = _pair(module.padding, line=isinstance(module, nn.Conv1d), still=0)
    padding = {"valid": (0, 0), "same": same}.get(str(module.padding)) or given
    if padding is None or (padding != (0, 0) and module.padding_mode != "zeros"):
        raise ValueError(
            f"{label} pads by {module.padding_mode!r}; supported: zeros (set padding_mode='zeros' and train again)"
        )
    if module.padding == "same" and (high % 2 == 0 or wide % 2 == 0):
        raise ValueError(
            f"{label} pads a kernel of {high} x {wide} to the 'same' size, more on one side than on the other; "
            "supported: odd kernels, and padding given in numbers"
        )
    return padding


def _named(window: tuple[Pair, Pair, Pair]) -> dict[str, Any]:
    return dict(zip(("kernel", "stride", "padding"), window, strict=True))
