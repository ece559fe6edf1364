"""What docs/reference/link.md says of a compiled network's words, done by hand from the file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from support.networks import random_network

from zeroskip.fpga.eie.bursts import matrix_bursts, table_bursts
from zeroskip.model.eie.bundle import EieNetwork, save
from zeroskip.model.eie.geometry import EieGeometry


def memories(network: EieNetwork) -> dict[tuple[int, int], bytes]:
    """What the host writes to each target and address."""
    found = {}
    for burst in [*matrix_bursts(network), *table_bursts(network)]:
        for place in range(len(burst.words) // burst.width):
            word = burst.words[place * burst.width : (place + 1) * burst.width]
            found[burst.target, burst.address + place] = word
    return found


def test_the_words_of_a_file(tmp_path: Path) -> None:
    """Every word that the host writes is one that the page describes; only words without entries are left out."""
    geometry = EieGeometry(pes=4, pointers=256)
    network = random_network(np.random.default_rng(3), geometry, [40, 24, 10], 0.4)
    network = dataclasses.replace(network, geometry=dataclasses.replace(network.geometry, layers=4))
    save(network, tmp_path / "net.zs")
    with safe_open(tmp_path / "net.zs", "np") as file:
        header = json.loads(file.metadata()["zeroskip"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    sizes, expected = header["geometry"], {}
    for pe in range(sizes["pes"]):
        used = -(-int(tensors["pointers"][pe, -1]) // sizes["entries_per_word"])
        for place in range(used):
            expected[8 * pe + 0, place] = tensors["entries"][pe, place].tobytes()
        width = (sizes["entry_words"] * sizes["entries_per_word"]).bit_length()
        for place, pointer in enumerate(tensors["pointers"][pe].tolist()):
            expected[8 * pe + 1, place] = pointer.to_bytes(-(-width // 8), "little")
    base, most = 0, sizes["pes"] * sizes["activation_rows"]
    for number, layer in enumerate(header["layers"]):
        for code, value in enumerate(tensors["codebooks"][number].tolist()):
            expected[2, number * 2 ** sizes["code_bits"] + code] = value.to_bytes(2, "little", signed=True)
        exponent, bias = layer.get("bias_exponent", 0), layer["bias"]
        products = layer["input_fraction"] + layer["weight_fraction"] - sizes["product_shift"]
        last = any(number == stage["last"] for stage in header["stages"])
        fields = [
            (layer["inputs"], most.bit_length()),
            (layer["outputs"], most.bit_length()),
            (base, (sizes["pointers"] - 1).bit_length()),
            (number, (sizes["layers"] - 1).bit_length()),
            (products - layer["output_fraction"], (sizes["accumulator_bits"] - 1).bit_length()),
            (int(layer["relu"]), 1),
            (int(bias), 1),
            (1 << (layer["input_fraction"] + exponent) if bias else 0, 16),
            (int(last), 1),
        ]
        row = at = 0
        for value, bits in fields:
            row, at = row | value << at, at + bits
        expected[3, number] = row.to_bytes(-(-at // 8), "little")
        base += layer["inputs"] + bias + 1
    assert memories(network) == expected
