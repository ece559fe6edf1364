"""A folded network: what `zeroskip.model.network.fold.fold` returns, and what cores are compiled from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from zeroskip.model.network.operations import (
    Activation,
    Addition,
    Clamping,
    Concatenation,
    Imaging,
    Linear,
    Multiplication,
    Operation,
    Rearrangement,
    Recurrence,
    has_relu,
)
from zeroskip.model.network.steps import INPUT
from zeroskip.model.network.token_operations import TokenOperation

Seen = Callable[[int, tuple[Tensor, ...]], None]
"""(number of an operation, the values that it reads)."""


class Folded(nn.Sequential):
    """`operations` of a network, each computed by one of the `layers` (modules without ReLU), as one float network.

    Takes images (n, channels, height, width) where `images`, because an operation that reads its input takes them, else
    flat values (n, values), and gives flat values. Its
    modules are the layers in order, with a ReLU, a Flatten or an Unflatten of its own where one is needed in between;
    each reads the results of the modules `sources` (numbers, or INPUT).
    """

    def __init__(self, operations: Sequence[Operation], layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.operations = tuple(operations)
        firsts = [operation for number, operation in enumerate(operations) if number + 1 in operation.back]
        self.images = any(_takes_images(operation, False) for operation in firsts)
        self.sources: list[tuple[int, ...]] = []
        self._of_operation: list[int] = []
        is_image = {INPUT: self.images}
        flattened: dict[int, int] = {}
        results = [INPUT]

        def add(module: nn.Module, sources: tuple[int, ...], gives_images: bool) -> int:
            self.append(module)
            self.sources.append(sources)
            is_image[len(self) - 1] = gives_images
            return len(self) - 1

        def flat(source: int) -> int:
            if not is_image[source]:
                return source
            if source not in flattened:
                flattened[source] = add(nn.Flatten(), (source,), False)
            return flattened[source]

        def factors(source: int) -> int:
            return source if is_image[source] else add(nn.Unflatten(1, (-1, 1, 1)), (source,), True)

        def rows(source: int, operation: Operation) -> int:
            if not _of_rows(operation):
                return source
            assert isinstance(operation, Linear)
            return add(nn.Unflatten(1, (operation.rows, operation.inputs)), (source,), False)

        for number, (operation, layer) in enumerate(zip(operations, layers, strict=True)):
            read = tuple(results[number + 1 - back] for back in operation.back)
            takes_images = _takes_images(operation, all(is_image[source] for source in read))
            if takes_images and isinstance(operation, Multiplication):
                read = tuple(factors(source) for source in read)
            if not takes_images:
                read = tuple(rows(flat(source), operation) for source in read)
            self._of_operation.append(len(self))
            gives_images = takes_images or isinstance(operation, Imaging)
            result = add(layer, read, gives_images)
            if _of_rows(operation):
                result = add(nn.Flatten(), (result,), False)
            results.append(add(nn.ReLU(), (result,), gives_images) if has_relu(operation) else result)
        flat(results[-1])
        self._last_use = {source: index for index, read in enumerate(self.sources) for source in read}

    @property
    def layers(self) -> list[nn.Module]:
        """The module of each operation."""
        return [self[place] for place in self._of_operation]

    def forward(self, input: Tensor) -> Tensor:
        return self.run(input, lambda number, values: None)

    def run(self, input: Tensor, seen: Seen) -> Tensor:
        """As forward(); `seen` is told what each operation reads."""
        numbers = {place: number for number, place in enumerate(self._of_operation)}
        values = {INPUT: input}
        for place, read in enumerate(self.sources):
            given = tuple(values[source] for source in read)
            if place in numbers:
                seen(numbers[place], given)
            values[place] = self[place](*given)
            for source in set(read):
                if self._last_use[source] == place:
                    del values[source]
        return values[len(self) - 1]


def _of_rows(operation: Operation) -> bool:
    """Whether an operation computes each of several rows by itself."""
    return isinstance(operation, Linear) and operation.rows > 1 and not isinstance(operation, Recurrence)


def _takes_images(operation: Operation, given: bool) -> bool:
    """Whether an operation computes on images; `given` says whether it reads some."""
    if isinstance(operation, Linear | Rearrangement | Imaging | TokenOperation):
        return False
    if isinstance(operation, Addition | Multiplication | Concatenation):
        return operation.images
    return given if isinstance(operation, Clamping | Activation) else True


def operations(folded: nn.Module) -> list[tuple[Operation, nn.Module]]:
    """The operations of a folded network, each with the module that computes it. Raises TypeError for another
    network."""
    if not isinstance(folded, Folded):
        raise TypeError(f"a network must be folded first (zeroskip.model.network.fold), not {type(folded).__name__}")
    return list(zip(folded.operations, folded.layers, strict=True))
