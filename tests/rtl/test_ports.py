# amaranth: UnusedElaboratable=no
# (the components are constructed, but not simulated)
"""Every component lists its ports in its docstring, and every signature its members; nothing else is listed."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import pytest
from amaranth.lib import wiring
from support.bench import geometry

import zeroskip.rtl
import zeroskip.rtl.ports
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus import eie_buses
from zeroskip.rtl.bus.apb import apb
from zeroskip.rtl.bus.axi import axi_lite, axi_memory, axi_stream
from zeroskip.rtl.bus.bursts import BurstReader, BurstWriter, axi_reads, axi_writes
from zeroskip.rtl.bus.eie_map import eie_map
from zeroskip.rtl.bus.eie_shell import ArrayShell, ListShell
from zeroskip.rtl.bus.flat import flat_members
from zeroskip.rtl.bus.images import ImageBuffer
from zeroskip.rtl.bus.lists import ListRunner
from zeroskip.rtl.bus.on_bus import OnBus
from zeroskip.rtl.bus.results import ResultPacker
from zeroskip.rtl.bus.wishbone import wishbone
from zeroskip.rtl.eie.lnzd import Lnzd, LnzdNode
from zeroskip.rtl.eie.row_flags import RowFlags
from zeroskip.rtl.link.cobs import CobsDecoder, CobsEncoder
from zeroskip.rtl.link.executor import Executor
from zeroskip.rtl.link.link import Link
from zeroskip.rtl.link.ports import CoreSizes
from zeroskip.rtl.link.reader import RequestReader
from zeroskip.rtl.link.receiver import Receiver
from zeroskip.rtl.link.seal import Seal
from zeroskip.rtl.link.uart import UartReceiver, UartSender
from zeroskip.rtl.link.usb import UsbSerial
from zeroskip.rtl.mapping.packer import Packer
from zeroskip.rtl.mapping.skid import Skid
from zeroskip.rtl.mma.accumulators import Accumulators
from zeroskip.rtl.mma.selector import Lower
from zeroskip.rtl.mma.timing import Timing
from zeroskip.rtl.own_register import OwnRegister
from zeroskip.rtl.sram import Sram
from zeroskip.rtl.word_store import WordStore

INTEGERS = [TileGeometry(dtype="int8", out="int32"), TileGeometry(dtype="int8", out="int32", keep=1, group=1)]
FLOATS = [TileGeometry(), TileGeometry(keep=1, group=1)]

SIZES = CoreSizes(target=3, address=6, data=20, start=4, read=6, result=20)

TWO_PES = EieGeometry(pes=2, entry_words=8, pointers=8, layers=1)

ARGUMENTS: dict[str, list[tuple[Any, ...]]] = {
    "zeroskip.rtl.bus": [(16,)],
    "zeroskip.rtl.bus.mapping": [(MapperGeometry(width=4),)],
    "zeroskip.rtl.bus.mma": [(tile,) for tile in INTEGERS],
    "zeroskip.rtl.bus.registers": [(eie_map(geometry(), 16),)],
    "zeroskip.rtl.bus.runner": [(geometry(),)],
    "zeroskip.rtl.bus.triples": [(MapperGeometry(width=4),)],
    "zeroskip.rtl.bus.windows": [(eie_map(geometry(), 16),)],
    "zeroskip.rtl.eie": [(geometry(),)],
    "zeroskip.rtl.link.ports": [(SIZES,)],
    "zeroskip.rtl.mapping": [(MapperGeometry(width=4),)],
    "zeroskip.rtl.mma": [(tile,) for tile in INTEGERS],
    "zeroskip.rtl.mma.float_dot": [(tile,) for tile in FLOATS],
    "zeroskip.rtl.mma.step_dot": [(TileGeometry(generation="B200", dtype="e4m3", k=32),)],
    "zeroskip.rtl.mma.timing": [(Timing(stages=7, take=2),)],
    "zeroskip.rtl.ports": [(8, 4)],
}
"""What components and signatures of a module are made with, so that each optional port is there at least once; the
longest name that fits a module counts."""

OTHERS: dict[Any, list[Any]] = {
    Sram: [Sram(depth=2, width=2)],
    WordStore: [WordStore(depth=2, width=2)],
    OwnRegister: [OwnRegister(2, resets=True)],
    Accumulators: [Accumulators(slots=2, width=2)],
    Lnzd: [Lnzd(4)],
    LnzdNode: [LnzdNode(0), LnzdNode(2)],
    RowFlags: [RowFlags(8, 4)],
    Lower: [Lower(8)],
    CobsDecoder: [CobsDecoder()],
    CobsEncoder: [CobsEncoder()],
    Seal: [Seal()],
    Receiver: [Receiver(64)],
    RequestReader: [RequestReader(buffer=64, boot=16)],
    Executor: [Executor(SIZES, text=8, boot=16)],
    Link: [Link(SIZES, text=b"{}", records=bytes(2), buffer=64)],
    UartReceiver: [UartReceiver(clock=48e6, baud=3e6)],
    UartSender: [UartSender(clock=48e6, baud=3e6)],
    UsbSerial: [UsbSerial()],
    Packer: [Packer(shape=8, lanes=4)],
    Skid: [Skid(8)],
    ArrayShell: [ArrayShell(geometry(), stream_bits=16)],
    **{array: [array(geometry(), stream_bits=16)] for array in eie_buses.BUSES.values()},
    axi_memory: [axi_memory()],
    axi_reads: [axi_reads()],
    axi_writes: [axi_writes()],
    BurstReader: [BurstReader()],
    BurstWriter: [BurstWriter()],
    ListRunner: [ListRunner(address_bits=12, values=8)],
    ListShell: [ListShell(TWO_PES)],
    eie_buses.AxiMasterArray: [eie_buses.AxiMasterArray(TWO_PES)],
    ImageBuffer: [ImageBuffer(values=8, value_bits=16, beat_values=1, word_values=4)],
    ResultPacker: [ResultPacker(values=8, value_bits=16, beat_values=1)],
}
"""Those that are made with something else."""

FLAT: dict[str, Callable[[int], wiring.Signature]] = {
    **{signature.__name__: signature for signature in (axi_lite, axi_stream, apb, wishbone)},
    "axi_memory": lambda _: axi_memory(),
}
"""A core on a bus has the members of these as ports of its own, with the name of the port before theirs."""


def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(zeroskip.rtl.__path__, "zeroskip.rtl.")
    return [importlib.import_module(module.name) for module in found]


def own(module: ModuleType, wanted: Callable[[Any], bool]) -> list[Any]:
    return [value for value in vars(module).values() if wanted(value) and value.__module__ == module.__name__]


def is_component(value: Any) -> bool:
    """A base of other components is none by itself."""
    return inspect.isclass(value) and issubclass(value, wiring.Component) and not value.__subclasses__()


def is_signature(value: Any) -> bool:
    return inspect.isfunction(value) and value.__annotations__.get("return") == "wiring.Signature"


COMPONENTS = [component for module in modules() for component in own(module, is_component)]
SIGNATURES = [signature for module in modules() for signature in own(module, is_signature)]


def made(maker: Any) -> list[Any]:
    if maker in OTHERS:
        return OTHERS[maker]
    fitting = [prefix for prefix in ARGUMENTS if maker.__module__.startswith(prefix)]
    return [maker(*arguments) for arguments in ARGUMENTS[max(fitting, key=len)]]


def listed(docstring: str, section: str, *, flat: bool = False) -> dict[str, str]:
    """Direction of each name that a section of a docstring lists; each entry has a shape and a meaning. Where they are
    `flat`, those of FLAT stand for their members."""
    text = inspect.cleandoc(docstring)
    (body,) = re.findall(rf"^{section}\n-+\n(.*?)(?=\n\n|\Z)", text, flags=re.M | re.S)
    entries = re.findall(r"^(\w+) : (\S.*), (in|out)\n {4}\S", body, flags=re.M)
    assert len(entries) == len(re.findall(r"^\S", body, flags=re.M)), (
        f"an entry is not 'name : shape, direction': {body}"
    )
    found = {}
    for name, shape, direction in entries:
        if flat and shape in FLAT:
            signature = FLAT[shape](16)
            members = flat_members(name, signature if direction == "out" else signature.flip())
            found |= directions([wiring.Signature(members)])
        else:
            found[name] = direction
    return found


def directions(signatures: Iterable[wiring.Signature]) -> dict[str, str]:
    return {
        name: "in" if member.flow == wiring.In else "out"
        for signature in signatures
        for name, member in signature.members.items()
    }


def test_there_are_components_and_signatures() -> None:
    assert len(COMPONENTS) > 20
    assert len(SIGNATURES) > 5


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.__name__)
def test_a_component_lists_its_ports(component: Any) -> None:
    signatures = [variant.signature for variant in made(component)]
    assert listed(component.__doc__, "Ports", flat=issubclass(component, OnBus)) == directions(signatures)


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda s: s.__name__)
def test_a_signature_lists_its_members(signature: Any) -> None:
    if "Members" not in signature.__doc__:
        # A name for one of the signatures in zeroskip.rtl.ports, which lists the members.
        assert directions(made(signature)) in [directions(made(port)) for port in own(zeroskip.rtl.ports, is_signature)]
        return
    assert listed(signature.__doc__, "Members") == directions(made(signature))
