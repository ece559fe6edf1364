"""The blocks that are measured alone, by name. Imports nothing heavy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zeroskip.model.eie.geometry import EieGeometry

EIE_SIZES: dict[str, int] = {
    "pes": 16,
    "entry_words": 256,
    "pointers": 2048,
    "activation_rows": 64,
    "layers": 4,
}
"""A PE of an array of 16 for LeNet-300-100: 784 inputs, and 4,096 words of 64 bits in all."""


def _eie() -> dict[str, Any]:
    return {"geometry": EieGeometry(**EIE_SIZES)}


def _tile(generation: str, dtype: str, out: str, m: int, n: int, k: int) -> Callable[[], dict[str, Any]]:
    def sizes() -> dict[str, Any]:
        from zeroskip.model.mma.geometry import mode_geometry

        return {"geometry": mode_geometry(generation=generation, dtype=dtype, out=out, m=m, n=n, k=k)}

    return sizes


def _mapper() -> dict[str, Any]:
    from zeroskip.model.mapping.geometry import MapperGeometry

    return {"geometry": MapperGeometry(width=4)}


def _packer() -> dict[str, Any]:
    from zeroskip.model.mapping.geometry import MapperGeometry
    from zeroskip.rtl.mapping.layouts import stored_layout

    geometry = MapperGeometry(width=4)
    return {"shape": stored_layout(geometry), "lanes": geometry.width}


def _array_sizes() -> Any:
    from zeroskip.fpga.eie.linked import array_sizes

    return array_sizes(EieGeometry(**EIE_SIZES))


_UART = {"clock": 80e6, "baud": 3e6}
_INT8 = _tile("A100", "int8", "int32", 2, 1, 8)
_FP16 = _tile("V100", "fp16", "fp32", 2, 2, 4)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A component of `zeroskip.rtl`, "eie.pe:ProcessingElement", and what makes its arguments."""

    component: str
    arguments: Callable[[], Mapping[str, Any]]

    def make(self) -> Any:
        module, _, name = self.component.partition(":")
        return getattr(importlib.import_module(f"zeroskip.rtl.{module}"), name)(**self.arguments())


def _with(**arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: arguments


def _blocks(core: str, arguments: Callable[[], Mapping[str, Any]], **components: str) -> dict[str, Block]:
    return {f"{core}.{name}": Block(component=component, arguments=arguments) for name, component in components.items()}


BLOCKS = {
    **_blocks(
        "eie",
        _eie,
        control="eie.control:ControlUnit",
        requantise="eie.requantise:Requantise",
        fetch="eie.fetch:ActivationFetch",
        scanner="eie.scanner:NonzeroScanner",
        pointers="eie.pointers:PointerRead",
        queue="eie.queue:ActivationQueue",
        spmat="eie.spmat:SparseMatrixRead",
        lookahead="eie.lookahead:LookAhead",
        decoder="eie.decoder:WeightDecoder",
        arithmetic="eie.arithmetic:ArithmeticUnit",
        files="eie.activations:ActivationFiles",
        codebooks="eie.codebooks:CodebookStore",
        pe="eie.pe:ProcessingElement",
    ),
    **_blocks("eie", _with(width=64), lnzd="eie.lnzd:Lnzd"),
    **_blocks("int8", _INT8, dot="mma.tile:DotUnit", selector="mma.selector:Selector", tile="mma.tile:Tile"),
    **_blocks(
        "fp16",
        _FP16,
        dot="mma.tile:DotUnit",
        checker="mma.checker:Checker",
        sequencer="mma.sequencer:Sequencer",
        tile="mma.tile:Tile",
    ),
    **_blocks(
        "mapping",
        _mapper,
        block_sorter="mapping.block_sorter:BlockSorter",
        merger="mapping.merger:Merger",
        ranker="mapping.ranker:Ranker",
        least_entry="mapping.least_entry:LeastEntry",
        matcher="mapping.matcher:Matcher",
        distances="mapping.distances:Distances",
        least_distances="mapping.least_distances:LeastDistances",
        reader="mapping.reader:Reader",
        sequencer="mapping.sequencer:Sequencer",
        thinner="mapping.thinner:Thinner",
    ),
    **_blocks("mapping", _packer, packer="mapping.packer:Packer"),
    **_blocks("link", _with(), decoder="link.cobs:CobsDecoder", encoder="link.cobs:CobsEncoder", seal="link.seal:Seal"),
    **_blocks("link", _with(buffer=4096), receiver="link.receiver:Receiver"),
    **_blocks("link", _with(buffer=4096, boot=512), reader="link.reader:RequestReader"),
    **_blocks("link", lambda: {"sizes": _array_sizes(), "text": 400, "boot": 512}, executor="link.executor:Executor"),
    **_blocks("link", _with(**_UART), uart_receiver="link.uart:UartReceiver", uart_sender="link.uart:UartSender"),
}
"""Every block, "eie.control"."""
