"""Operations that only move values of a sample, also those of values in parts and of several results."""

from __future__ import annotations

import operator
from typing import Any

from torch import Tensor, fx

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.moving import is_reshape, moved
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.reading.reading import Reading


def _of_several(reading: Reading, node: fx.Node, source: fx.Node) -> bool:
    """One of the results of an attention or a recurrent layer."""
    place = node.args[1] if node.target is operator.getitem else None
    if source in reading.list and place == 0:
        reading.list.same(node, source)
    elif source in reading.tokens.ends and place == 1:
        # Of an LSTM, this is a pair again.
        reading.last_states[node] = source
    elif source in reading.last_states and place == 0:
        reading.last_states[node] = reading.last_states[source]
    else:
        raise ValueError(
            f"{label_of(node)} takes another result than supported of '{source.name}'; supported: the values of an "
            "attention, [0], the states of a recurrent layer, [0], and the last ones, [1], without those of cells"
        )
    return True


def moves_parts(reading: Reading, node: fx.Node) -> bool:
    waiting = (*reading.parts, *reading.last_states)
    return is_reshape(node) and any(source in waiting for source in node.all_input_nodes)


def parts_or_move(reading: Reading, node: fx.Node) -> bool:
    """Adds the step of a node that only moves values. Parts of a value (chunk), and values whose samples are not
    first, wait for the moves that read them. Returns whether the node is done; not so where shapes are not
    known."""
    source = node.all_input_nodes[0]
    if isinstance(source.meta.get(VALUE), tuple) and (source in reading.list or source in reading.last_states):
        return _of_several(reading, node, source)
    chain: list[fx.Node | None] = [node]
    whole = source
    while whole in reading.parts:
        chain.insert(0, whole)
        whole = reading.parts[whole]
    if reading.shape(whole) is None:
        return False
    if whole in reading.last_states:
        # Torch has layers and directions first, and then the samples.
        chain.insert(0, None)

    def move(value: Any) -> Any:
        for one in chain:
            value = value.transpose(0, 1) if one is None else moved(reading.module, one, value)
        return value

    if isinstance(node.meta[VALUE], Tensor):
        try:
            if whole in reading.last_states:
                held = reading.tokens.last_states(node, reading.last_states[whole])
                reading.list.add(node, reading.list.moved_from(node, held.number, held.value, move))
            else:
                reading.list.add(node, reading.list.moved(node, whole, move))
            return True
        except ValueError as error:
            # Perhaps another move brings the samples back to the first dimension.
            reading.misplaced[node] = str(error)
    reading.parts[node] = source
    return True
