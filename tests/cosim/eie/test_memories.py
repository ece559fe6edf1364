"""Memories that are filled directly: the bits that the load port puts there, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.networks import random_inputs, random_network, small_conv_network

from zeroskip.cosim.eie.design import player_design
from zeroskip.cosim.eie.driver import DRIVER
from zeroskip.cosim.eie.memories import network_memories
from zeroskip.cosim.player import Player
from zeroskip.cosim.session import Setup
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.cosim.verify import Verification, verify
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry

SIMULATORS = [
    Simulator.VERILATOR,
    pytest.param(
        Simulator.ICARUS,
        marks=pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog"),
    ),
]
WIDE = EieGeometry(pes=2, queue_depth=64, code_bits=6, accumulator_bits=48, index_bits=5)
LOADS: tuple[LoadName, ...] = ("direct", "ports")


@pytest.fixture(scope="module")
def network() -> EieNetwork:
    return random_network(np.random.default_rng(21), EieGeometry(pes=4), (70, 40, 9), 0.2)


def contents(network: EieNetwork, setup: Setup, folder: Path, simulator: Simulator) -> dict[str, list[str]]:
    """The words of all memories of the simulation in hexadecimal, after the setup alone."""
    folder.mkdir()
    build = player_design(network.geometry).build(simulator)
    with Player(build, seed=5, plusargs={"dump": folder}, memories=setup.memories) as player:
        player.play(setup.program)
    return {
        file.stem: [line for line in file.read_text().splitlines() if line and not line.startswith(("//", "@"))]
        for file in folder.glob("*.hex")
    }


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_memories_hold_what_the_ports_write(network: EieNetwork, tmp_path: Path, simulator: Simulator) -> None:
    """Random contents before, and after it the same words wherever either way has written one."""
    direct, ports = (contents(network, DRIVER.setup(network, load), tmp_path / load, simulator) for load in LOADS)
    assert direct.keys() == ports.keys()
    assert len(direct) == network.geometry.pes * 5
    filled = network_memories(network)
    assert len(filled) == network.geometry.pes * 3
    for name, text in filled.items():
        count = len(text.split())
        assert count > 0
        assert direct[name][:count] == ports[name][:count] == text.split(), name
    # Read back, the memories are the network.
    for pe in range(network.geometry.pes):
        inside = f"player.array.pe_{pe}.instance"
        count = network.pointers.shape[1]
        banks = [direct[f"{inside}.pointers.{bank}.model"] for bank in ("even", "odd")]
        read = [int(banks[index % 2][index // 2], 16) for index in range(count)]
        assert read == network.pointers[pe].tolist()
        words = -(-int(network.pointers[pe, -1]) // network.geometry.entries_per_word)
        entries = [int(word, 16).to_bytes(8, "little") for word in direct[f"{inside}.spmat.words.model"][:words]]
        assert b"".join(entries) == network.entries[pe, :words].tobytes()


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_outputs_and_cycles_are_those_of_the_ports(simulator: Simulator) -> None:
    network = small_conv_network(np.random.default_rng(22), EieGeometry(pes=4))
    inputs = random_inputs(np.random.default_rng(23), 3, network.inputs, (0.5, 0.1))
    direct, ports = (verify(network, inputs, load=load, simulator=simulator, seed=9) for load in LOADS)
    assert (direct.equal, ports.equal) == (True, True)

    def facts(of: Verification) -> list[NDArray[Any]]:
        return [of.raw, of.run.cycles.by_layer, of.run.activity, of.run.queue_levels]

    for one, other in zip(facts(direct), facts(ports), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(1, 9))
def test_what_registers_start_with_does_not_change_the_memories(network: EieNetwork, seed: int) -> None:
    """Registers at random before the reset must not write a word."""
    assert verify(network, random_inputs(np.random.default_rng(3), 8, 70, (0.5, 1.0)), seed=seed).equal


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_wide_words_hold_nothing_of_what_was_there(seed: int) -> None:
    """Words of 88 bits, in memories with other contents before."""
    network = random_network(np.random.default_rng(7), WIDE, (150, 70, 33, 5), 0.15)
    assert verify(network, random_inputs(np.random.default_rng(seed), 6, 150, (0.5, 1.0)), seed=seed).equal


def test_a_flipped_bit_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The simulation takes its weights from these words: a code that is another one gives another output."""
    network = random_network(np.random.default_rng(24), EieGeometry(pes=4), (70, 9), 0.2)
    inputs = np.full((1, network.inputs), 100, np.int16)
    memories = network_memories(network)
    name = "player.array.pe_2.instance.spmat.words.model"
    # The lowest bit of the code of the first entry, which is in the lowest byte, the skip in its low half.
    first, *rest = memories[name].split("\n")
    changed = memories | {name: "\n".join([f"{int(first, 16) ^ 0x10:016x}", *rest])}
    monkeypatch.setattr("zeroskip.cosim.eie.driver.network_memories", lambda _: changed)
    verification = verify(network, inputs, waveform=tmp_path / "flipped.vcd")
    assert not verification.equal
    assert verification.waveform is not None
    monkeypatch.undo()
    assert verify(network, inputs).equal
