"""What was read of a network so far, and what all readers ask about a node."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.step_list import StepList
from zeroskip.model.network.token_reading import TokenReader
from zeroskip.model.network.trace import SIZES


class Reading:
    """`list` has the steps read so far; `current` is the value that a node of one input reads."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.list = StepList()
        self.tokens = TokenReader(module, self.list)
        self.current: fx.Node | None = None
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

    def inputs(self, node: fx.Node) -> list[fx.Node]:
        """The values that a node reads, without shapes."""
        return [
            source
            for source in node.all_input_nodes
            if source in self.list or source in self.parts or source in self.last_states
        ]

    def about(self, node: fx.Node, *parts: fx.Node, images: bool = False) -> dict[str, Any]:
        """What every step says of its node; without `parts`, it reads `current`. A step of `images` reads sequences as
        images of height 1."""
        read = parts or ((self.current,) if self.current is not None else ())
        return self.list.about(node, *read, lines=True if images and len(self.shape(read[0]) or ()) == 3 else None)

    def shape(self, node: fx.Node | None) -> tuple[int, ...] | None:
        """The shape (samples, ...) of a node's value, or None where it is not known."""
        value = None if node is None else node.meta.get(VALUE)
        return tuple(value.shape) if isinstance(value, Tensor) else None

    def is_several(self, node: fx.Node) -> bool:
        """Whether a node gives several values of each sample, (samples * windows, ...)."""
        shape = self.shape(node)
        return shape is not None and len(shape) > 0 and shape[0] != SIZES[1]

    def require_dimensions(self, node: fx.Node, what: str, wanted: int) -> None:
        """Raises ValueError if the input of a layer is known not to have the dimensions that it is compiled for."""
        shape = self.shape(self.current)
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
