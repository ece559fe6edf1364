"""Weight sharing: a layer's weights become 15 values (Deep Compression, ICLR 2016, section 3)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.pruning.kmeans import CODEBOOK_SIZE, cluster


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedLayer:
    """A Linear layer, and the ReLU behind it where `relu`, whose weights and bias share one codebook.

    `codebook` is float32 (16,), entry 0 exactly zero and unused entries zero; `weight_codes` is uint8
    (outputs, inputs) and `bias_codes` uint8 (outputs,), or None where the layer has no bias. A weight or bias
    has code 0 where, and only where, it is exactly zero. Raises ValueError naming the field that is wrong.
    """

    codebook: NDArray[np.float32]
    weight_codes: NDArray[np.uint8]
    bias_codes: NDArray[np.uint8] | None
    relu: bool

    def __post_init__(self) -> None:
        if self.codebook.dtype != np.float32 or self.codebook.shape != (CODEBOOK_SIZE,):
            raise ValueError(
                f"codebook must be float32 ({CODEBOOK_SIZE},), not {self.codebook.dtype} {self.codebook.shape}"
            )
        if self.codebook[0] != 0 or not np.isfinite(self.codebook).all():
            raise ValueError(f"codebook must be finite and start with zero, not {self.codebook.tolist()}")
        if self.weight_codes.ndim != 2:
            raise ValueError(f"weight_codes must have the shape (outputs, inputs), not {self.weight_codes.shape}")
        _require_codes("weight_codes", self.weight_codes)
        if self.bias_codes is not None:
            if self.bias_codes.shape != self.weight_codes.shape[:1]:
                raise ValueError(
                    f"bias_codes must have the shape {self.weight_codes.shape[:1]}, not {self.bias_codes.shape}"
                )
            _require_codes("bias_codes", self.bias_codes)

    @property
    def weight(self) -> NDArray[np.float32]:
        return self.codebook[self.weight_codes]

    @property
    def bias(self) -> NDArray[np.float32] | None:
        return None if self.bias_codes is None else self.codebook[self.bias_codes]


def share_layers(folded: nn.Sequential) -> list[SharedLayer]:
    """The layers of what `model.compiler.fold.fold` returns, each with its own codebook.

    Exact, with nothing lost, for a layer of at most 15 distinct non-zero values.
    """
    return [_share_layer(linear, relu) for linear, relu in _linear_layers(folded)]


def to_module(layers: Sequence[SharedLayer]) -> nn.Sequential:
    """The float network that `layers` stand for, of nn.Linear and nn.ReLU."""
    modules: list[nn.Module] = []
    for layer in layers:
        outputs, inputs = layer.weight_codes.shape
        bias = layer.bias
        linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias is not None)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight))
            if bias is not None:
                linear.bias.copy_(torch.from_numpy(bias))
        modules.append(linear)
        if layer.relu:
            modules.append(nn.ReLU())
    return nn.Sequential(*modules)


def _share_layer(linear: nn.Linear, relu: bool) -> SharedLayer:
    weight = linear.weight.detach().numpy()
    # The bias is one more column of the same matrix in the hardware, so it goes by the same codebook.
    matrix = weight if linear.bias is None else np.column_stack((weight, linear.bias.detach().numpy()))
    codes = np.zeros(matrix.shape, np.uint8)
    used = matrix != 0
    codebook, codes[used] = cluster(matrix[used])
    inputs = weight.shape[1]
    return SharedLayer(
        codebook=codebook,
        weight_codes=codes[:, :inputs].copy(),
        bias_codes=None if linear.bias is None else codes[:, inputs].copy(),
        relu=relu,
    )


def _linear_layers(folded: nn.Sequential) -> Iterator[tuple[nn.Linear, bool]]:
    modules = list(folded)
    for module, follower in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(module, nn.Linear):
            yield module, isinstance(follower, nn.ReLU)
        elif not isinstance(module, nn.ReLU):
            raise ValueError(f"a folded network must hold Linear and ReLU alone, not {type(module).__name__}")


def _require_codes(name: str, codes: NDArray) -> None:
    if codes.dtype != np.uint8 or codes.max(initial=0) >= CODEBOOK_SIZE:
        raise ValueError(f"{name} must be uint8 below {CODEBOOK_SIZE}, not {codes.dtype} up to {codes.max(initial=0)}")
