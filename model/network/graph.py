"""Reads a torch module as a graph of steps, by tracing it with torch.fx.

torch.fx and not torch.export: its nodes are the user's own layers and functions, each with the line of forward() that
calls it, so that errors and weights keep their names; torch.export would break layers into operators of tensors.
"""

import torch
from torch import Tensor, nn

from zeroskip.model.network.kinds import refuse_hidden_changes, torch_class, with_plain_weights
from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.reading.hidden_writes import refuse_hidden_writes
from zeroskip.model.network.reading.walk import Walk
from zeroskip.model.network.same import require_same_counts, require_same_steps
from zeroskip.model.network.steps import NetworkStep
from zeroskip.model.network.trace import at_least, trace
from zeroskip.model.network.wrappers import unwrapped


def read_steps(module: nn.Module, samples: Tensor | None = None) -> list[NetworkStep]:
    """The steps of `module` in eval mode, each after those that it reads, without those that do nothing then (Dropout).
    The last one gives the output; without any step, the network gives its input.

    With `samples` (n, ...), inputs of the network, its forward() may look at shapes, and every step is checked: it must
    give what torch gives for a few of the samples. Without them nothing is known about shapes.

    Raises ValueError naming the layer or operation that is not supported, with its line in forward(), or saying why the
    module cannot be traced.
    """
    module = with_plain_weights(unwrapped(module))
    if torch_class(module) is not None:
        # Traced alone, a layer would appear as operations on its parameters.
        module = nn.Sequential(module)
    refuse_hidden_changes(module)
    if samples is not None:
        samples = at_least(as_inputs_of(module, samples), 1)
    with in_mode(module, training=False):
        graph = trace(module, samples)
        refuse_hidden_writes(module, graph)
        walk = Walk(module, graph)
        steps = walk.steps()
        if walk.input is not None and samples is not None:
            require_same_steps(walk.input, steps)
            require_same_counts(module, samples, walk.compared)
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
