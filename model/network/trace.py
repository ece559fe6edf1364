"""Traces a network with torch.fx at the shape of its samples, so that forward() may look at shapes.

Without samples, fx runs forward() on proxies that know nothing, and a decision that depends on a shape fails. Here
every proxy carries the value that torch gives for a few samples: questions about its shape or type are answered from
it, decisions by its values are refused. As the number of samples must not be a part of what is traced, the network is
traced for two numbers of samples, and both must give the same graph.
"""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx import _symbolic_trace

from zeroskip.model.network.equivalents import function_equivalent, is_traced_through, layer_equivalent
from zeroskip.model.network.kinds import torch_class
from zeroskip.model.network.node_keys import COMPARED, PLACE, VALUE
from zeroskip.model.network.proxy_calls import proxies_first
from zeroskip.model.network.sample_counts import counted
from zeroskip.model.network.steps import at_place
from zeroskip.model.network.wrappers import unwrapped
from zeroskip.model.user_code.messages import readable, shown

SIZES = 2, 3
"""The numbers of samples for which a network is traced."""

RESHAPES = (torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.unflatten)
RESHAPE_METHODS = ("flatten", "reshape", "view", "squeeze", "unsqueeze", "unflatten", "view_as", "reshape_as")
"""Operations that only change a shape."""

_SIZED = (*RESHAPES, torch.broadcast_to)
_SIZED_METHODS = (*RESHAPE_METHODS, "expand", "repeat", "broadcast_to", "new_zeros", "new_ones", "new_full")
"""Operations whose arguments may be numbers of samples."""

_QUERIES = {
    "ndim",
    "dtype",
    "device",
    "layout",
    "is_cuda",
    "is_cpu",
    "is_mps",
    "is_nested",
    "is_sparse",
    "is_quantized",
    "is_mkldnn",
    "requires_grad",
    "itemsize",
    "nbytes",
    "dim",
    "ndimension",
    "numel",
    "nelement",
    "stride",
    "is_contiguous",
    "is_floating_point",
    "is_complex",
    "is_signed",
    "get_device",
    "element_size",
}
"""Attributes and methods of a tensor that do not depend on its values, besides `shape` and `size`."""

_HERE = Path(__file__).parent
_OUTSIDE = tuple(f"{folder}/" for folder in (Path(torch.__file__).parent, _HERE, _HERE.parent / "pruning"))
_LIBRARY = f"{Path(inspect.__file__).parent}/"
"""The folders of code that is not the user's: torch, the rooms that run networks, and Python's own library."""


def trace(network: nn.Module, samples: Tensor | None) -> fx.Graph:
    """The graph of a network in eval mode, at the shape of `samples` (n, ...), of which a few are used; the nodes know
    their values and places. Without samples, nothing is known about shapes.

    Raises ValueError where forward() fails, or cannot be traced, naming the line.
    """
    if samples is None:
        return _trace(network, None)
    few = at_least(samples, max(SIZES))
    _require_runs(network, few)
    first, second = (_trace(network, few[:size]) for size in SIZES)
    _require_same(network, first, second)
    for one, other in zip(first.nodes, second.nodes, strict=True):
        if other.op == "placeholder":
            other.meta[COMPARED] |= one.meta[COMPARED]
    return second


def sample_shape(value: Tensor) -> tuple[int, ...]:
    """The shape of what a node gives, without the samples. Where it has several values of each sample, as windows are,
    (samples * windows, ...), their number comes first."""
    each = len(value) // SIZES[1]
    return tuple(value.shape[1:]) if each == 1 else (each, *value.shape[1:])


def by_sample(value: Tensor) -> Tensor:
    """What a node gives, as (samples, values)."""
    return value.reshape(SIZES[1], -1)


def at_least(samples: Tensor, count: int) -> Tensor:
    """At least `count` of the samples, which are repeated where there are fewer."""
    return samples if len(samples) >= count else samples[torch.arange(count) % len(samples)]


@torch.no_grad()
def _require_runs(network: nn.Module, samples: Tensor) -> None:
    for size in SIZES:
        try:
            network(samples[:size].clone())
        except Exception as error:
            # The user's forward() can raise anything.
            problem = (
                f"{type(network).__name__} does not take samples of shape {tuple(samples.shape[1:])}: "
                f"{_line_of(error)}; give it samples of the shape that its forward() takes"
            )
            raise WrongShape(str(at_place(problem, _place_in(error)))) from error


def _line_of(error: BaseException) -> str:
    return readable(f"{type(error).__name__}: {str(error).strip()}").split("\n")[0]


def _trace(network: nn.Module, samples: Tensor | None) -> fx.Graph:
    before = [(module, _attributes(module)) for module in network.modules()]
    tracer = _Tracer(samples)
    try:
        with torch.no_grad(), proxies_first():
            return tracer.trace(network)
    except _Refused as error:
        raise ValueError(str(error)) from error
    except Exception as error:
        # forward() is the user's code, run on proxies of tensors: it can raise anything.
        remedy = "its forward() must be a fixed sequence of layers, without decisions that depend on the input"
        if samples is None:
            remedy += " (those that depend on its shape need samples of the input)"
        problem = f"{type(network).__name__} cannot be traced ({_line_of(error)}); {remedy}"
        raise Untraceable(str(at_place(problem, _place_in(error)))) from error
    finally:
        # forward() may keep proxies in its modules, and fx keeps tensors there that forward() makes.
        for module, attributes in before:
            _restore(module, attributes)


_TABLES = ("_parameters", "_buffers", "_modules")


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {**vars(module), **{name: dict(vars(module)[name]) for name in _TABLES}}


def _restore(module: nn.Module, attributes: dict[str, Any]) -> None:
    tables = {name: vars(module)[name] for name in _TABLES}
    for name, table in tables.items():
        table.clear()
        table.update(attributes[name])
    vars(module).clear()
    vars(module).update({**attributes, **tables})


class WrongShape(ValueError):
    """The network does not take samples of this shape."""


class Untraceable(ValueError):
    """forward() does not run on proxies: without samples, perhaps because it decides by shapes."""


class _Refused(Exception):
    """What the network does cannot be compiled; the message says all."""


class _Tracer(fx.Tracer):
    def __init__(self, samples: Tensor | None) -> None:
        super().__init__()
        self.samples = samples
        self.running = False
        self.compared: set[int] = set()

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        """One input; arguments of forward() with a default have it."""
        taken = [
            parameter
            for parameter in inspect.signature(self.root.forward).parameters.values()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY)
        ]
        needed = [one.name for one in taken if one.default is one.empty and one.kind != one.VAR_POSITIONAL]
        if len(needed) > 1:
            raise _Refused(f"the network takes a second input '{needed[1]}'; it must take one")
        if not taken:
            raise _Refused(f"the network ({type(self.root).__name__}) takes no input; it must take one")
        given = self.create_proxy("placeholder", taken[0].name, (), {})
        # Not `root_fn`, the class's: the object's own forward() is what torch calls.
        return (lambda proxy: self.root.forward(proxy)), [given]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return torch_class(m) is not None and not (self.samples is not None and is_traced_through(m))

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self.running:
            # Computing a value, not tracing.
            return forward(*args, **kwargs)
        if (inner := unwrapped(m)) is not m:
            return inner(*args, **kwargs)
        if self.samples is not None and (found := layer_equivalent(m, args, kwargs)) is not None:
            return found
        return super().call_module(m, forward, args, kwargs)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> fx.Proxy:
        if self.samples is not None and not self.running and kind in ("call_function", "call_method"):
            found: fx.Proxy | None = function_equivalent(target, args, kwargs)
            if found is not None:
                return found
        return super().create_proxy(kind, target, args, kwargs, *rest, **options)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self.running else super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_arg(self, a: Any) -> Any:
        return a.node if isinstance(a, fx.Proxy) else super().create_arg(a)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Known(node, self) if VALUE in node.meta else fx.Proxy(node, self)

    def create_node(self, kind: str, target: Any, *rest: Any, **options: Any) -> fx.Node:
        node = super().create_node(kind, target, *rest, **options)
        node.meta[PLACE] = _place(_Tracer.trace.__code__)
        if self.samples is not None and kind != "output":
            node.meta[VALUE] = self._value(node)
        if kind == "placeholder":
            node.meta[COMPARED] = self.compared
        return node

    def _value(self, node: fx.Node) -> Any:
        """What torch gives here. Arguments are copied, as an operation may change them in place."""
        assert self.samples is not None
        if node.op == "placeholder":
            return self.samples

        def known(other: fx.Node) -> Any:
            value = other.meta[VALUE]
            return value.clone() if isinstance(value, Tensor) else value

        args, kwargs = fx.node.map_arg((node.args, node.kwargs), known)
        self.running = True
        try:
            if node.op == "get_attr":
                owner, _, name = str(node.target).rpartition(".")
                return getattr(self.root.get_submodule(owner), name)
            if node.op == "call_module":
                return _symbolic_trace._orig_module_call(self.root.get_submodule(str(node.target)), *args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            assert callable(node.target)
            return node.target(*args, **kwargs)
        finally:
            self.running = False

    def to_bool(self, obj: fx.Proxy) -> bool:
        if VALUE not in obj.node.meta:
            return super().to_bool(obj)
        raise self.refusal()

    def refusal(self) -> _Refused:
        """The error for Python code that needs a value of a tensor."""
        problem = (
            f"{type(self.root).__name__} decides by the values of its input; a compiled network does the same for "
            "every sample: take the decision out of forward() (decisions by shapes are allowed)"
        )
        return _Refused(str(at_place(problem, _place(_Tracer.trace.__code__))))


class _Known(fx.Proxy):
    """A proxy that knows what torch gives. To isinstance() it is a tensor where that is one."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return Tensor if isinstance(self.node.meta[VALUE], Tensor) else _Known

    def __getattr__(self, k: str) -> Any:
        value = self.node.meta[VALUE]
        if isinstance(value, Tensor):
            compared: set[int] = self.tracer.compared  # type: ignore[attr-defined]
            if k == "shape":
                return counted(value.shape, compared)
            if k == "size":
                shape = counted(value.shape, compared)
                return lambda dim=None: shape if dim is None else shape[dim]
            if k in _QUERIES:
                return getattr(value, k)
            if not hasattr(value, k):
                raise AttributeError(f"'Tensor' object has no attribute '{k}'")
            if k.startswith("_"):
                raise self.tracer.refusal()  # type: ignore[attr-defined]
        return fx.Proxy.__getattr__(self, k)

    def __setitem__(self, place: Any, value: Any) -> None:
        name = type(self.tracer.root).__name__  # type: ignore[attr-defined]
        problem = (
            f"{name} assigns to a part of a value (x[...] = ...); a compiled network changes no value in place: do it "
            "to the samples before they reach the network, or by the weights of the layer that reads the value"
        )
        raise _Refused(str(at_place(problem, _place(_Tracer.trace.__code__))))

    def __iadd__(self, other: Any) -> fx.Proxy:
        """`x += y`, which fx would take for `x = x + y`."""
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __imul__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})

    def __len__(self) -> int:
        return len(self.node.meta[VALUE])

    def __iter__(self) -> Iterator[Any]:
        call = self.tracer.create_proxy
        return iter([call("call_function", operator.getitem, (self, place), {}) for place in range(len(self))])

    def __int__(self) -> int:
        raise self.tracer.refusal()  # type: ignore[attr-defined]

    def __float__(self) -> float:
        raise self.tracer.refusal()  # type: ignore[attr-defined]

    def __index__(self) -> int:
        raise self.tracer.refusal()  # type: ignore[attr-defined]


def _place(until: CodeType) -> str:
    """The innermost line of the user's code that is running, outwards up to the function `until`; "" for none."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not until:
        if _is_users(frame.f_code.co_filename):
            return f"{shown(Path(frame.f_code.co_filename))}, line {frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def _place_in(error: BaseException) -> str:
    """The innermost line of the user's forward() that led to the error; "" for none."""
    place, trace = "", error.__traceback__
    # The first frames are ours and those that called us.
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if _is_users(file):
            place = f"{shown(Path(file))}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _is_users(file: str) -> bool:
    if file.startswith(_LIBRARY) and "site-packages" not in file:
        return False
    return not file.startswith(("<", *_OUTSIDE))


def _require_same(network: nn.Module, first: fx.Graph, second: fx.Graph) -> None:
    """Raises ValueError unless the graphs for two numbers of samples are the same, but for what reshapes are given."""
    pairs = list(zip(first.nodes, second.nodes, strict=False))
    for one, other in pairs:
        same = (one.op, one.target, one.name) == (other.op, other.target, other.name) and _are_alike(one, other)
        sized = one.target in _SIZED or (one.op == "call_method" and one.target in _SIZED_METHODS)
        if not same or (not sized and _plain((one.args, one.kwargs)) != _plain((other.args, other.kwargs))):
            raise at_place(
                f"{type(network).__name__} does something else for {SIZES[0]} samples than for {SIZES[1]} "
                f"('{other.name}'); a compiled network does the same for each sample",
                other.meta[PLACE],
            )
    if len(first.nodes) != len(second.nodes):
        raise ValueError(
            f"{type(network).__name__} does something else for {SIZES[0]} samples than for {SIZES[1]}; a compiled "
            "network does the same for each sample"
        )


def _are_alike(one: fx.Node, other: fx.Node) -> bool:
    """Whether the values of nodes have the same shape, but for the number of samples."""
    first, second = (node.meta.get(VALUE) for node in (one, other))
    if not isinstance(first, Tensor) or not isinstance(second, Tensor):
        return isinstance(first, Tensor) == isinstance(second, Tensor)
    sizes = zip(first.shape, second.shape, strict=False)
    return first.dim() == second.dim() and all(
        size == larger or size * SIZES[1] == larger * SIZES[0] for size, larger in sizes
    )


def _plain(arguments: Any) -> str:
    """Arguments as text, nodes by name."""
    return repr(arguments)
