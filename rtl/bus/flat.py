"""Ports with the names of a bus standard: `s_axi_awaddr`, as tools look for them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In


def flat_members(prefix: str, signature: wiring.Signature) -> dict[str, wiring.Member]:
    """The members of an interface as members of a component, their names behind `prefix` and an underscore."""
    return {f"{prefix}_{name}": member for name, member in signature.members.items()}


def connect_flat(m: Module, component: Any, prefix: str, interface: Any) -> None:
    """Connects these ports of a component to the interface of a part of it that has the same directions."""
    for name, member in interface.signature.members.items():
        outside, inside = Value.cast(getattr(component, f"{prefix}_{name}")), Value.cast(getattr(interface, name))
        m.d.comb += inside.eq(outside) if member.flow is In else outside.eq(inside)
