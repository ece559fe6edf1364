"""Reads a torch module as a plain chain of steps, by tracing it with torch.fx."""

import operator
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional as F

from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.pooling import average_window, max_window, pair, require_global, require_image_mean

SUPPORTED = (
    "Linear, Conv2d, ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), BatchNorm1d, BatchNorm2d, "
    "Flatten (from dimension 1), Dropout, Identity"
)


@dataclass(frozen=True, kw_only=True)
class ChainStep:
    """One step of the chain, and its name for the user ("layer 'fc1'", "operation 'relu'")."""

    label: str


@dataclass(frozen=True, kw_only=True)
class LinearStep(ChainStep):
    module: nn.Linear


@dataclass(frozen=True, kw_only=True)
class ConvStep(ChainStep):
    """A convolution; `padding` is in numbers (height, width), also where the module has a name for it."""

    module: nn.Conv2d
    padding: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class MaxPoolStep(ChainStep):
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class AveragePoolStep(ChainStep):
    """Average pooling that divides by the size of the kernel everywhere; `kernel` is None where it is the image."""

    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class BatchNormStep(ChainStep):
    module: nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True, kw_only=True)
class ReluStep(ChainStep):
    pass


@dataclass(frozen=True, kw_only=True)
class FlattenStep(ChainStep):
    """Flattens (n, ...) to (n, width); `width` is None where the network does not state it."""

    width: int | None


def chain(module: nn.Module) -> list[ChainStep]:
    """The steps of `module` in eval mode, in order, without those that do nothing then (Dropout).

    Raises ValueError naming the layer or operation that is not supported or not part of a plain chain, or saying why
    the module cannot be traced.
    """
    if isinstance(module, nn.Linear | nn.Conv2d):
        # Traced alone, a layer would appear as operations on its parameters.
        module = nn.Sequential(module)
    _refuse_hidden_changes(module)
    with in_mode(module, training=False):
        try:
            graph = fx.symbolic_trace(module).graph
        except Exception as error:
            # forward() is the user's code, run on proxies of tensors: it can raise anything.
            reason = str(error).strip().split("\n")[0]
            raise ValueError(
                f"{type(module).__name__} cannot be traced ({type(error).__name__}: {reason}); "
                "its forward() must be a fixed sequence of layers, without decisions that depend on the input"
            ) from error
        _refuse_dead_writes(module, graph)
        graph.eliminate_dead_code()
        return _Reader(module, graph).steps()


def _refuse_hidden_changes(module: nn.Module) -> None:
    """Raises ValueError for hooks and parametrizations, which change a layer's result or weights but are not visible in
    a traced graph."""
    for name, layer in module.named_modules():
        if layer._forward_hooks or layer._forward_pre_hooks:
            raise ValueError(f"layer '{name}' ({type(layer).__name__}) has forward hooks; remove them")
        if nn.utils.parametrize.is_parametrized(layer):
            raise ValueError(
                f"layer '{name}' ({type(layer).__name__}) has parametrized weights; make them ordinary ones with "
                "torch.nn.utils.parametrize.remove_parametrizations"
            )


def _refuse_dead_writes(module: nn.Module, graph: fx.Graph) -> None:
    """Raises ValueError for an in-place operation whose result is not used: it changes a value that is used later,
    which the graph does not show."""
    for node in graph.nodes:
        if node.users or node.op not in ("call_function", "call_method", "call_module"):
            continue
        if node.op == "call_module":
            in_place = getattr(module.get_submodule(str(node.target)), "inplace", False)
        else:
            called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
            in_place = node.kwargs.get("inplace", False) or (called.endswith("_") and not called.endswith("__"))
        if in_place:
            raise ValueError(
                f"operation '{node.name}' changes its input in place, and its result is not used; use what it returns"
            )


class _Reader:
    """Walks the graph; `current` is the value that the chain has reached."""

    def __init__(self, module: nn.Module, graph: fx.Graph):
        self.module = module
        self.graph = graph
        self.current: fx.Node | None = None
        # Values that are no tensors: the shape of the current one, and its first element. The number of
        # samples is the same all along the chain, so they never go stale.
        self.shapes: set[fx.Node] = set()
        self.sample_counts: set[fx.Node] = set()

    def steps(self) -> list[ChainStep]:
        steps: list[ChainStep] = []
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "output":
                self._output(node)
            elif not self._shape_query(node):
                self._require_chain(node)
                steps += self._steps(node)
                self.current = node
        return steps

    def _placeholder(self, node: fx.Node) -> None:
        # An optional argument that forward() does not use here is no second input.
        if not node.users:
            return
        if self.current is not None:
            raise ValueError(f"the network takes a second input '{node.name}'; it must take one")
        self.current = node

    def _output(self, node: fx.Node) -> None:
        if node.args[0] is not self.current:
            raise ValueError(f"the network must return the result of its last step, not {node.args[0]}")

    def _shape_query(self, node: fx.Node) -> bool:
        """Whether the node only asks for a shape: `x.shape`, `x.size()`, `x.size(0)`, `x.shape[0]`."""
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

    def _require_chain(self, node: fx.Node) -> None:
        values = [n for n in node.all_input_nodes if n not in self.shapes | self.sample_counts]
        if len(values) > 1:
            names = " and ".join(f"'{value.name}'" for value in values)
            raise ValueError(
                f"{_label(node)} joins {names}; only a plain chain of layers is supported, without branches "
                "and residual additions"
            )
        if node.op != "get_attr" and values != [self.current]:
            raise ValueError(
                f"{_label(node)} does not read the step before it ('{self.current}'); only a plain chain of "
                "layers is supported, without branches and residual additions"
            )

    def _steps(self, node: fx.Node) -> list[ChainStep]:
        if node.op != "call_module" and node.target in (torch.mean, "mean"):
            return self._mean_steps(node)
        step = self._step(node)
        return [] if step is None else [step]

    def _step(self, node: fx.Node) -> ChainStep | None:
        if node.op == "call_module":
            return self._module_step(node)
        if node.op == "get_attr":
            raise ValueError(f"{_label(node)} reads the attribute '{node.target}'; supported: {SUPPORTED}")
        if node.target in (F.relu, torch.relu, F.relu_, torch.relu_, "relu", "relu_"):
            return ReluStep(label=_label(node))
        if node.target in (torch.flatten, "flatten"):
            self._require_flatten(node, _argument(node, 1, "start_dim", 0), _argument(node, 2, "end_dim", -1))
            return FlattenStep(label=_label(node), width=None)
        if node.target in (torch.reshape, "reshape", "view"):
            return FlattenStep(label=_label(node), width=self._view_width(node))
        if node.target in (F.max_pool2d, torch.max_pool2d):
            names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
            return _max_pool(_label(node), *_arguments(node, names, (None, None, 0, 1, False, False)))
        if node.target is F.avg_pool2d:
            names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
            return _average_pool(_label(node), *_arguments(node, names, (None, None, 0, False, True, None)))
        if node.target is F.adaptive_avg_pool2d:
            require_global(_label(node), _argument(node, 1, "output_size", None))
            return AveragePoolStep(label=_label(node))
        if node.target is F.dropout:
            if _argument(node, 2, "training", True):
                raise ValueError(f"{_label(node)} drops values in eval mode too; call it with training=self.training")
            return None
        raise ValueError(f"{_label(node)} is {_target_name(node)}; supported: {SUPPORTED}")

    def _module_step(self, node: fx.Node) -> ChainStep | None:
        module, label = self.module.get_submodule(str(node.target)), _label(node)
        # A subclass that computes something else (quantisation-aware layers) must not pass for a Linear.
        if isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward:
            return LinearStep(label=label, module=module)
        if isinstance(module, nn.Conv2d) and type(module).forward is nn.Conv2d.forward:
            return ConvStep(label=label, module=module, padding=_conv_padding(label, module))
        if isinstance(module, nn.MaxPool2d):
            return _max_pool(
                label,
                module.kernel_size,
                module.stride,
                module.padding,
                module.dilation,
                module.ceil_mode,
                module.return_indices,
            )
        if isinstance(module, nn.AvgPool2d):
            return _average_pool(
                label,
                module.kernel_size,
                module.stride,
                module.padding,
                module.ceil_mode,
                module.count_include_pad,
                module.divisor_override,
            )
        if isinstance(module, nn.AdaptiveAvgPool2d):
            require_global(label, module.output_size)
            return AveragePoolStep(label=label)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return BatchNormStep(label=label, module=module)
        if isinstance(module, nn.ReLU):
            return ReluStep(label=label)
        if isinstance(module, nn.Flatten):
            self._require_flatten(node, module.start_dim, module.end_dim)
            return FlattenStep(label=label, width=None)
        if isinstance(module, nn.Identity | nn.Dropout | nn.Dropout2d):
            return None
        raise ValueError(f"{label} is a {type(module).__name__}; supported: {SUPPORTED}")

    def _mean_steps(self, node: fx.Node) -> list[ChainStep]:
        """A mean over height and width: global pooling, and without `keepdim` flattening."""
        label = _label(node)
        require_image_mean(label, _argument(node, 1, "dim", None), node.kwargs.get("dtype"))
        pooling = AveragePoolStep(label=label)
        return [pooling] if _argument(node, 2, "keepdim", False) else [pooling, FlattenStep(label=label, width=None)]

    def _require_flatten(self, node: fx.Node, start: object, end: object) -> None:
        if (start, end) != (1, -1):
            raise ValueError(f"{_label(node)} flattens dimensions {start} to {end}; supported: 1 to -1")

    def _view_width(self, node: fx.Node) -> int | None:
        """The width in `view(n, width)`, None where it is -1."""
        sizes = view_sizes(node)
        samples_kept = len(sizes) == 2 and (sizes[0] == -1 or sizes[0] in self.sample_counts)
        if not samples_kept or not isinstance(sizes[1], int):
            raise ValueError(
                f"{_label(node)} reshapes to {tuple(sizes)}; supported: (samples, -1) and (samples, width)"
            )
        return None if sizes[1] == -1 else sizes[1]


def _conv_padding(label: str, module: nn.Conv2d) -> tuple[int, int]:
    if pair(module.dilation) != (1, 1):
        raise ValueError(f"{label} has the dilation {module.dilation}; supported: 1")
    if module.padding == "valid":
        return 0, 0
    high, wide = module.kernel_size
    if module.padding == "same":
        if high % 2 == 0 or wide % 2 == 0:
            raise ValueError(
                f"{label} pads a kernel of {high} x {wide} to the 'same' size, more on one side than on the other; "
                "supported: odd kernels, and padding given in numbers"
            )
        return high // 2, wide // 2
    padding = pair(module.padding)
    if padding is None or (padding != (0, 0) and module.padding_mode != "zeros"):
        raise ValueError(f"{label} pads by {module.padding_mode!r}; supported: zeros")
    return padding


def view_sizes(node: fx.Node) -> tuple[object, ...]:
    """The sizes that a view or reshape names, as numbers or not."""
    sizes = node.args[1:] or (node.kwargs.get("shape"),)
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else tuple(sizes)


def _max_pool(label: str, *arguments: object) -> MaxPoolStep:
    kernel, stride, padding = max_window(label, *arguments)
    return MaxPoolStep(label=label, kernel=kernel, stride=stride, padding=padding)


def _average_pool(label: str, *arguments: object) -> AveragePoolStep:
    kernel, stride, padding = average_window(label, *arguments)
    return AveragePoolStep(label=label, kernel=kernel, stride=stride, padding=padding)


def _label(node: fx.Node) -> str:
    return f"layer '{node.target}'" if node.op == "call_module" else f"operation '{node.name}'"


def _target_name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", repr(node.target))


def _argument(node: fx.Node, position: int, name: str, default: object) -> object:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _arguments(node: fx.Node, names: tuple[str, ...], defaults: tuple[object, ...]) -> list[object]:
    """The arguments after the first, which is the value."""
    return [_argument(node, *option) for option in zip(range(1, len(names) + 1), names, defaults, strict=True)]
