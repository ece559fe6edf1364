"""In-place operations that change a value which is used later as it was."""

from __future__ import annotations

import operator

from torch import fx, nn
from torch.nn import functional as F

from zeroskip.model.network.calls import argument, label_of
from zeroskip.model.network.kinds import is_plain
from zeroskip.model.network.moving import is_move
from zeroskip.model.network.node_keys import PLACE
from zeroskip.model.network.reading.gates import EXPANSIONS
from zeroskip.model.network.reading.quiet import COPIES, DROPOUT_LAYERS, DROPOUTS
from zeroskip.model.network.steps import at_place
from zeroskip.model.network.trace import RESHAPE_METHODS, RESHAPES


def refuse_hidden_writes(module: nn.Module, graph: fx.Graph) -> None:
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
        return is_plain(layer, nn.Identity, nn.Flatten, nn.Unflatten, *DROPOUT_LAYERS)
    views = (*RESHAPES, *RESHAPE_METHODS, *EXPANSIONS, *COPIES, *DROPOUTS)
    return node.target != "clone" and (node.target in views or is_move(module, node))


_IN_PLACE_ARGUMENT: dict[object, int] = {
    F.relu: 1,
    F.relu6: 1,
    F.hardtanh: 3,
    F.leaky_relu: 2,
    F.elu: 2,
    F.selu: 1,
    F.mish: 1,
    F.silu: 1,
    F.hardswish: 1,
    F.hardsigmoid: 1,
}
"""The place of the argument `inplace`."""
