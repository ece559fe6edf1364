"""Reads a torch module as a graph of steps, by tracing it with torch.fx.

torch.fx and not torch.export: its nodes are the user's own layers and functions, each with the line of forward() that
calls it, so that errors and weights keep their names; torch.export would break layers into operators of tensors.
"""

import math
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from zeroskip.model.network.kinds import is_plain, refuse_hidden_changes, torch_class
from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.pooling import Pair, adaptive_window, average_window, max_window, pair, require_image_mean
from zeroskip.model.network.same import require_same_counts, require_same_steps
from zeroskip.model.network.steps import (
    INPUT,
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
    MultiplyStep,
    NetworkStep,
    ReluStep,
    SoftmaxStep,
    at_place,
)
from zeroskip.model.network.trace import COMPARED, PLACE, RESHAPE_METHODS, RESHAPES, VALUE, at_least, trace
from zeroskip.model.network.wrappers import unwrapped

SUPPORTED = (
    "Linear, Conv2d, additions, products of two values, concatenations (of dimension 1), ReLU, ReLU6, Hardtanh, "
    "LeakyReLU, Sigmoid, Tanh, SiLU, GELU, Hardswish, Hardsigmoid, MaxPool2d, AvgPool2d, adaptive poolings to sizes "
    "that divide the image, BatchNorm1d, BatchNorm2d, Flatten (from dimension 1), Dropout, Identity, and at the end "
    "Softmax or LogSoftmax"
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
    return samples.to(kinds[0]) if kinds else samples


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
                    f"operation '{stale[source].name}' changes its input in place, and {_label(node)} uses that too; "
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
        return bool(_argument(node, _IN_PLACE_ARGUMENT[node.target], "inplace", False))
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
    return node.target != "clone" and node.target in views


def _used(graph: fx.Graph) -> set[fx.Node]:
    """The nodes that the output depends on, and the inputs. (fx's own elimination keeps random operations.)"""
    used = {node for node in graph.nodes if node.op in ("placeholder", "output")}
    for node in reversed(graph.nodes):
        if node in used:
            used |= set(node.all_input_nodes)
    return used


class _Reader:
    """Walks the graph. `values` are the numbers of the values that nodes give: those of steps, or INPUT; `current` is
    the value that a node of one input reads, `input` the samples where they are known."""

    def __init__(self, module: nn.Module, graph: fx.Graph):
        self.module = module
        self.graph = graph
        self.values: dict[fx.Node, int] = {}
        self.current: fx.Node | None = None
        self.input: Tensor | None = None
        # What forward() compares the number of samples with.
        self.compared: set[int] = set()
        # Flat values that forward() makes images of 1 x 1, where shapes are not known.
        self.factors: set[fx.Node] = set()
        # Factors for channels that forward() expands to the size of the images, and what they are expanded from.
        self.expanded: dict[fx.Node, fx.Node] = {}
        # Values that are no tensors: the shape of a value, and its first element. The number of
        # samples is the same all along the network, so they never go stale.
        self.shapes: set[fx.Node] = set()
        self.sample_counts: set[fx.Node] = set()

    def steps(self) -> list[NetworkStep]:
        steps: list[NetworkStep] = []
        used = _used(self.graph)
        for node in self.graph.nodes:
            if node not in used:
                continue
            try:
                self._read(node, steps)
            except ValueError as error:
                raise at_place(str(error), node.meta[PLACE]) from error
        return steps

    def _read(self, node: fx.Node, steps: list[NetworkStep]) -> None:
        """Adds the steps of a node."""
        if node.op == "placeholder":
            self.values[node], self.input = INPUT, node.meta.get(VALUE)
            self.compared = node.meta[COMPARED]
        elif node.op == "output":
            given = node.args[0]
            if not isinstance(given, fx.Node) or given not in self.values:
                raise ValueError(f"the network must return the result of its last step, not {given}")
        elif node.op != "get_attr" and not self._shape_query(node):
            self._require_values(node)
            if node.op == "call_method" and node.target in _EXPANSIONS:
                self._expand(node)
                return
            if (joined := self._joined(node)) is not None:
                steps.append(joined)
                self.values[node] = len(steps) - 1
                return
            (self.current,) = self._inputs(node)
            made = self._steps(node, len(steps))
            steps += made
            # A step that does nothing gives the value that it takes.
            self.values[node] = len(steps) - 1 if made else self.values[self.current]

    def _shape_query(self, node: fx.Node) -> bool:
        """Whether the node only asks for a shape: `x.shape`, `x.size()`, `x.size(0)`, `x.shape[0]`. Where shapes are
        known there are no such nodes."""
        source = node.args[0] if node.args else None
        if node.op == "call_function" and node.target is getattr and node.args[1] == "shape":
            self.shapes.add(node)
        elif node.op == "call_method" and node.target == "size":
            dimension = _argument(node, 1, "dim", None)
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
        return [source for source in node.all_input_nodes if source in self.values]

    def _require_values(self, node: fx.Node) -> None:
        """Raises ValueError unless the node reads values of this network alone."""
        owned = [source for source in node.all_input_nodes if source.op == "get_attr"]
        if owned:
            raise ValueError(self._own_tensor(node, str(owned[0].target)))
        if not self._inputs(node):
            raise ValueError(f"{_label(node)} is {_target_name(node)} without a value of the network; {_SUPPORTED_IS}")
        for source in self.expanded.keys() & set(node.all_input_nodes):
            if node.target not in _MULTIPLICATIONS:
                raise ValueError(
                    f"{_label(source)} is {_target_name(source)}, which {_label(node)} reads; supported: factors for "
                    "channels that are expanded for a product"
                )

    def _expand(self, node: fx.Node) -> None:
        """Factors (samples, channels, 1, 1), for a product with images."""
        source = node.args[0]
        assert isinstance(source, fx.Node)
        before, after = self._shape(source), self._shape(node)
        known = before is not None and after is not None
        if source not in self.values or (known and not _is_gate(after, before)):  # type: ignore[arg-type]
            raise ValueError(
                f"{_label(node)} is {_target_name(node)}; supported: factors (samples, channels, 1, 1) that are "
                "expanded to (samples, channels, height, width)"
            )
        self.values[node] = self.values[source]
        self.expanded[node] = source

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
                f"{_label(node)} is {_target_name(node)}, which joins {names}; values are joined by additions, "
                "products and concatenations alone"
            )
        return None

    def _pair(self, node: fx.Node, supported: str) -> tuple[fx.Node, fx.Node]:
        """The two values of the network that an operation joins."""
        pair = [_argument(node, 0, "input", None), _argument(node, 1, "other", None)]
        parts = [part for part in pair if isinstance(part, fx.Node) and part in self.values]
        if len(parts) != 2:
            raise ValueError(
                f"{_label(node)} is {_target_name(node)} with something that the network did not compute; supported: "
                f"{supported}"
            )
        return parts[0], parts[1]

    def _addition(self, node: fx.Node) -> AddStep:
        parts = self._pair(node, "the sum of two values (add a constant to the bias of a layer instead)")
        if _argument(node, 2, "alpha", 1) != 1 or node.kwargs.get("out") is not None:
            raise ValueError(f"{_label(node)} has an alpha, or an out; supported: the plain sum of two values")
        one, other = (self._shape(part) for part in parts)
        if one != other and one is not None and other is not None:
            raise ValueError(
                f"{_label(node)} adds values of the shapes {one[1:]} and {other[1:]} a sample; supported: the sum of "
                "values of the same shape"
            )
        return AddStep(**self._about(node, *parts))

    def _multiplication(self, node: fx.Node) -> MultiplyStep:
        supported = "the product of two values (multiply the weights of a layer by a constant instead)"
        one, other = (self.expanded.get(part, part) for part in self._pair(node, supported))
        if node.kwargs.get("out") is not None:
            raise ValueError(f"{_label(node)} has an out; supported: the plain product of two values")
        first, second = self._shape(one), self._shape(other)
        if first is None or second is None:
            if one in self.factors:
                one, other = other, one
            return MultiplyStep(**self._about(node, one, other), gate=True if other in self.factors else None)
        if _is_gate(second, first):
            one, other, first, second = other, one, second, first
        gate = _is_gate(first, second)
        if not gate and first != second:
            raise ValueError(
                f"{_label(node)} multiplies values of the shapes {first[1:]} and {second[1:]} a sample; "
                "supported: the product of values of the same shape, and factors for channels, (channels, 1, 1)"
            )
        return MultiplyStep(**self._about(node, one, other), gate=gate)

    def _concatenation(self, node: fx.Node) -> ConcatStep | None:
        given = _argument(node, 0, "tensors", None)
        if not isinstance(given, tuple | list) or any(part not in self.values for part in given):
            raise ValueError(
                f"{_label(node)} is {_target_name(node)} with something that it did not compute; {_SUPPORTED_IS}"
            )
        parts = [part for part in given if isinstance(part, fx.Node)]
        dimension = _argument(node, 1, "dim", node.kwargs.get("axis", 0))
        shape = self._shape(parts[0])
        if dimension != 1 and (shape is None or not isinstance(dimension, int) or dimension % len(shape) != 1):
            raise ValueError(
                f"{_label(node)} joins values along dimension {dimension}; supported: 1, that of channels and values"
            )
        return ConcatStep(**self._about(node, *parts))

    def _about(self, node: fx.Node, *parts: fx.Node) -> dict[str, Any]:
        """What every step says of its node; without `parts`, it reads `current`."""
        read = parts or ((self.current,) if self.current is not None else ())
        return {
            "label": _label(node),
            "sources": tuple(self.values[part] for part in read),
            "place": node.meta[PLACE],
            "output": node.meta.get(VALUE),
        }

    def _own_tensor(self, node: fx.Node, tensor: str) -> str:
        """The message for an operation that uses a tensor of the network."""
        if tensor.startswith("_tensor_constant"):
            return f"{_label(node)} is {_target_name(node)} with a tensor that forward() makes; supported: {SUPPORTED}"
        name = tensor.rpartition(".")[0]
        layer = self.module.get_submodule(name)
        kind = next((kind for kind in _WITH_WEIGHTS if isinstance(layer, kind)), None)
        if kind is not None and torch_class(layer) is None:
            return (
                f"layer '{name}' is a {type(layer).__name__}, which computes something else than {kind.__name__}; "
                f"supported: {SUPPORTED}"
            )
        return (
            f"{_label(node)} is {_target_name(node)} with the tensor '{tensor}'; only weights of layers that are "
            f"called as layers are supported: {SUPPORTED}"
        )

    def _steps(self, node: fx.Node, number: int) -> list[NetworkStep]:
        """The steps of a node of one input, from the step `number` on."""
        if node.op != "call_module" and node.target in (torch.mean, "mean"):
            return self._mean_steps(node, number)
        step = self._module_step(node) if node.op == "call_module" else self._step(node)
        return [] if step is None else [step]

    def _step(self, node: fx.Node) -> NetworkStep | None:
        if node.target in (F.relu, torch.relu, F.relu_, torch.relu_, "relu", "relu_"):
            return ReluStep(**self._about(node))
        if node.target in (F.relu6, F.hardtanh, F.hardtanh_):
            limits = (0, 6) if node.target is F.relu6 else _arguments(node, ("min_val", "max_val"), (-1.0, 1.0))
            return self._clamp(node, *limits)
        if node.target in (torch.clamp, "clamp", torch.clip, "clip", "clamp_"):
            return self._clamp(node, *_arguments(node, ("min", "max"), (None, None)))
        if (function := _FUNCTIONS.get(node.target)) is not None:
            return self._activation(node, function)
        if node.target in RESHAPES or (node.op == "call_method" and node.target in RESHAPE_METHODS):
            return self._reshape(node)
        if node.target in (F.max_pool2d, torch.max_pool2d):
            names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
            return self._max_pool(node, *_arguments(node, names, (None, None, 0, 1, False, False)))
        if node.target is F.avg_pool2d:
            names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
            return self._average_pool(node, *_arguments(node, names, (None, None, 0, False, True, None)))
        if node.target is F.adaptive_avg_pool2d:
            return self._adaptive(node, _argument(node, 1, "output_size", None), AveragePoolStep)
        if node.target is F.adaptive_max_pool2d:
            # With indices, it is another function.
            return self._adaptive(node, _argument(node, 1, "output_size", None), MaxPoolStep)
        if node.target in _DROPOUTS:
            if _argument(node, 2, "train" if node.target is torch.dropout else "training", _DROPOUTS[node.target]):
                raise ValueError(f"{_label(node)} drops values in eval mode too; call it with training=self.training")
            return None
        if node.op == "call_method" and node.target in _COPIES:
            self._require_copy(node)
            return None
        if (kind := _SOFTMAXES.get(node.target)) is not None:
            dtype = _argument(node, 3 if node.target in (F.softmax, F.log_softmax) else 2, "dtype", None)
            if dtype not in (None, torch.float32, torch.float64):
                raise ValueError(f"{_label(node)} is a {kind} in {dtype}; supported: float32 and float64")
            return self._softmax(node, kind, _argument(node, 1, "dim", None))
        raise ValueError(f"{_label(node)} is {_target_name(node)}; supported: {SUPPORTED}")

    def _module_step(self, node: fx.Node) -> NetworkStep | None:
        module, label = self.module.get_submodule(str(node.target)), _label(node)
        if len(node.args) != 1 or node.kwargs:
            raise ValueError(f"{label} is called with more than the step before it; supported: layers of one input")
        if is_plain(module, nn.Linear):
            self._require_dimensions(node, "a Linear", 2)
            return LinearStep(**self._about(node), module=module)
        if is_plain(module, nn.Conv2d):
            self._require_dimensions(node, "a Conv2d", 4)
            dilation = pair(module.dilation)
            if dilation is None:
                raise ValueError(f"{label} has the dilation {module.dilation}; supported: two numbers")
            padding = _conv_padding(label, module, dilation)
            return ConvStep(**self._about(node), module=module, padding=padding, dilation=dilation)
        if is_plain(module, nn.MaxPool2d):
            return self._max_pool(
                node,
                module.kernel_size,
                module.stride,
                module.padding,
                module.dilation,
                module.ceil_mode,
                module.return_indices,
            )
        if is_plain(module, nn.AvgPool2d):
            return self._average_pool(
                node,
                module.kernel_size,
                module.stride,
                module.padding,
                module.ceil_mode,
                module.count_include_pad,
                module.divisor_override,
            )
        if is_plain(module, nn.AdaptiveAvgPool2d):
            return self._adaptive(node, module.output_size, AveragePoolStep)
        if is_plain(module, nn.AdaptiveMaxPool2d):
            if module.return_indices:
                raise ValueError(f"{label} returns indices; supported: max pooling that returns values alone")
            return self._adaptive(node, module.output_size, MaxPoolStep)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and torch_class(module) is not None:
            self._require_dimensions(node, f"a {type(module).__name__}", 2 if is_plain(module, nn.BatchNorm1d) else 4)
            _require_eval(label, module)
            if module.running_mean is None or module.running_var is None:
                raise ValueError(
                    f"{label} has no running statistics, so it has no fixed function in eval mode; supported: "
                    "track_running_stats=True"
                )
            return BatchNormStep(**self._about(node), module=module)
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
        if shape is not None and len(shape) != wanted:
            names = {2: "(samples, values)", 4: "(samples, channels, height, width)"}[wanted]
            remedy = "; flatten them before it" if wanted == 2 else ""
            raise ValueError(f"{_label(node)} is {what} on values of shape {shape}; supported: {names}{remedy}")

    def _mean_steps(self, node: fx.Node, number: int) -> list[NetworkStep]:
        """A mean over height and width: global pooling, the step `number`, and without `keepdim` flattening."""
        require_image_mean(_label(node), _argument(node, 1, "dim", None), node.kwargs.get("dtype"))
        self._require_dimensions(node, "a mean over height and width", 4)
        about = self._about(node)
        pooled = about["output"]
        if isinstance(pooled, Tensor):
            about["output"] = pooled.reshape(*pooled.shape[:2], 1, 1)
        pooling = AveragePoolStep(**about)
        if _argument(node, 2, "keepdim", False):
            return [pooling]
        return [pooling, FlattenStep(**{**self._about(node), "sources": (number,)}, width=None)]

    def _reshape(self, node: fx.Node) -> FlattenStep | None:
        """A flattening, or a reshape that changes nothing."""
        before, after = self._shape(self.current), self._shape(node)
        if before is None or after is None:
            return self._unknown_reshape(node)
        if after == before:
            return None
        # Also (samples, values, 1), on the way of a squeeze(-1).squeeze(-1).
        if after[:2] != (before[0], math.prod(before[1:])) or any(size != 1 for size in after[2:]):
            raise ValueError(
                f"{_label(node)} reshapes samples of shape {before[1:]} to {after[1:]}, and {before[0]} samples to "
                f"{after[0]}; supported: flattening each sample, as torch.flatten(x, 1) does"
                if after
                else f"{_label(node)} leaves no samples; supported: flattening each sample, as torch.flatten(x, 1) does"
            )
        flat = {**self._about(node), "output": node.meta[VALUE].flatten(1)}
        return FlattenStep(**flat, width=after[1])

    def _unknown_reshape(self, node: fx.Node) -> FlattenStep:
        if node.op == "call_module":
            module = self.module.get_submodule(str(node.target))
            if isinstance(module, nn.Unflatten):
                if module.dim != 1 or tuple(module.unflattened_size)[1:] != (1, 1):
                    raise ValueError(
                        f"{_label(node)} unflattens dimension {module.dim} to {module.unflattened_size}; supported: 1, "
                        "to (channels, 1, 1), for the factors of a product"
                    )
                self.factors.add(node)
                return FlattenStep(**self._about(node), width=None)
            _require_flatten(node, module.start_dim, module.end_dim)
            return FlattenStep(**self._about(node), width=None)
        if node.target in (torch.flatten, "flatten"):
            _require_flatten(node, _argument(node, 1, "start_dim", 0), _argument(node, 2, "end_dim", -1))
            return FlattenStep(**self._about(node), width=None)
        if node.target in (torch.reshape, "reshape", "view"):
            return FlattenStep(**self._about(node), width=self._view_width(node))
        raise ValueError(f"{_label(node)} is {_target_name(node)}; supported: {SUPPORTED}")

    def _view_width(self, node: fx.Node) -> int | None:
        """The width in `view(n, width)`, None where it is -1."""
        sizes = view_sizes(node)
        samples_kept = sizes[2:] in ((), (1, 1)) and (sizes[0] == -1 or sizes[0] in self.sample_counts)
        if len(sizes) < 2 or not samples_kept or not isinstance(sizes[1], int):
            raise ValueError(
                f"{_label(node)} reshapes to {tuple(sizes)}; supported: (samples, -1), (samples, width) and, for the "
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
        if before is None or after is None or before.dtype != after.dtype:
            raise ValueError(
                f"{_label(node)} converts to another type; supported: a network of one floating-point type"
            )

    def _max_pool(self, node: fx.Node, *arguments: object) -> MaxPoolStep:
        self._require_dimensions(node, "a max pooling", 4)
        kernel, stride, padding, dilation, ceil, indices = arguments
        apart = pair(dilation)
        if apart is None or not isinstance(ceil, bool):
            raise ValueError(
                f"{_label(node)} is a max pooling with dilation = {dilation} and ceil_mode = {ceil}; supported: "
                "numbers, and True or False"
            )
        window = max_window(_label(node), kernel, stride, padding, indices)
        return MaxPoolStep(**self._about(node), **_named(window), dilation=apart, ceil=ceil)

    def _average_pool(self, node: fx.Node, *arguments: object) -> AveragePoolStep:
        self._require_dimensions(node, "an average pooling", 4)
        kernel, stride, padding, ceil, *rest = arguments
        ceil = ceil and not self._rounds_down(node, kernel, stride, padding)
        window = average_window(_label(node), kernel, stride, padding, ceil, *rest)
        return AveragePoolStep(**self._about(node), **_named(window))

    def _clamp(self, node: fx.Node, low: object, high: object) -> NetworkStep:
        limits = [-math.inf if low is None else low, math.inf if high is None else high]
        if not all(isinstance(limit, int | float) for limit in limits) or not limits[0] < limits[1]:  # type: ignore[operator]
            raise ValueError(f"{_label(node)} has the limits {low} and {high}; supported: two numbers in order")
        below, above = (float(limit) for limit in limits)  # type: ignore[arg-type]
        if (below, above) == (0, math.inf):
            return ReluStep(**self._about(node))
        return ClampStep(**self._about(node), low=below, high=above)

    def _activation(self, node: fx.Node, function: str, module: nn.Module | None = None) -> ActivationStep:
        """`module` is that of a layer, whose fields are the arguments."""
        argument: object = 0.0
        if function == "leaky_relu":
            argument = _argument(node, 1, "negative_slope", 0.01) if module is None else module.negative_slope
            if not isinstance(argument, int | float) or not math.isfinite(argument):
                raise ValueError(f"{_label(node)} has the slope {argument}; supported: a finite number")
        if function == "gelu":
            approximate = node.kwargs.get("approximate", "none") if module is None else module.approximate
            function = {"none": "gelu", "tanh": "gelu_tanh"}[str(approximate)]
        assert isinstance(argument, int | float)
        return ActivationStep(**self._about(node), function=function, argument=float(argument))

    def _rounds_down(self, node: fx.Node, kernel: object, stride: object, padding: object) -> bool:
        """Whether ceil_mode is known to give the same size as without it: then no window reaches over the edge."""
        before, after = self._shape(self.current), self._shape(node)
        sizes = pair(kernel), pair(stride or kernel), pair(padding)
        if before is None or after is None or None in sizes:
            return False
        return after[2:] == tuple(
            (size + 2 * around - window) // step + 1
            for size, window, step, around in zip(before[2:], *sizes, strict=True)  # type: ignore[arg-type]
        )

    def _adaptive(
        self, node: fx.Node, output_size: object, kind: type[AveragePoolStep] | type[MaxPoolStep]
    ) -> NetworkStep | None:
        """An adaptive pooling: over the whole image, or with a window that is the same everywhere."""
        self._require_dimensions(node, "a pooling", 4)
        shape = self._shape(self.current)
        label = _label(node)
        if kind is AveragePoolStep and pair(output_size) == (1, 1):
            return AveragePoolStep(**self._about(node))
        what = "average" if kind is AveragePoolStep else "max"
        window = adaptive_window(label, what, output_size, None if shape is None else shape[2:])
        return None if window == (1, 1) else kind(**self._about(node), kernel=window, stride=window, padding=(0, 0))

    def _softmax(self, node: fx.Node, kind: str, dim: object) -> SoftmaxStep:
        shape = self._shape(self.current)
        positions = None if shape is None else math.prod(shape[2:])
        assert dim is None or isinstance(dim, int)
        if shape is not None and dim is not None and dim % len(shape) != 1:
            raise ValueError(f"{_label(node)} is a {kind} over dimension {dim}; supported: 1, that of the classes")
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

_CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)

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

_COPIES = ("contiguous", "clone", "detach", "to", "float", "double", "type", "cpu")

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
    return len(images) == 4 and factors == (*images[:2], 1, 1) and images != factors


def _require_flatten(node: fx.Node, start: object, end: object) -> None:
    if (start, end) != (1, -1):
        raise ValueError(f"{_label(node)} flattens dimensions {start} to {end}; supported: 1 to -1")


def _require_eval(label: str, module: nn.Module) -> None:
    """Raises ValueError for a layer that train(False) leaves in train mode, in which it gives something else."""
    if module.training:
        raise ValueError(
            f"{label} is a {type(module).__name__} that stays in train mode; no module above it may override train()"
        )


def _conv_padding(label: str, module: nn.Conv2d, dilation: Pair) -> Pair:
    # The attribute kernel_size may have been changed since: torch computes with the weight.
    high, wide = module.weight.shape[2:]
    same = dilation[0] * (high // 2), dilation[1] * (wide // 2)
    padding = {"valid": (0, 0), "same": same}.get(str(module.padding)) or pair(module.padding)
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


def view_sizes(node: fx.Node) -> tuple[object, ...]:
    """The sizes that a view or reshape names, as numbers or not."""
    sizes = node.args[1:] or (node.kwargs.get("shape"),)
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else tuple(sizes)


def _named(window: tuple[Pair, Pair, Pair]) -> dict[str, Any]:
    return dict(zip(("kernel", "stride", "padding"), window, strict=True))


def _label(node: fx.Node) -> str:
    return f"layer '{node.target}'" if node.op == "call_module" else f"operation '{node.name}'"


def _target_name(node: fx.Node) -> str:
    if node.target is getattr:
        return f"x.{node.args[1]}"
    if node.target is operator.getitem:
        return "x[...], a part of a value"
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", repr(node.target))


def _argument(node: fx.Node, position: int, name: str, default: object) -> object:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _arguments(node: fx.Node, names: tuple[str, ...], defaults: tuple[object, ...]) -> list[object]:
    """The arguments after the first, which is the value."""
    return [_argument(node, *option) for option in zip(range(1, len(names) + 1), names, defaults, strict=True)]
