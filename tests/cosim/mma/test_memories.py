"""Operands that go directly into the tile's memories, and results that come directly out: the bits that the ports
carry, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from zeroskip.cosim.mma import program
from zeroskip.cosim.mma.design import gemm_design
from zeroskip.cosim.mma.play import plan_of, run_gemm, verify_gemms
from zeroskip.cosim.player import Player
from zeroskip.cosim.session import NO_LIMIT
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.model.mma.gemm import Images, Product, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry

# Words of 92 bits in the banks of A, of 152 in those of B, and of 96 in those of D: some are not whole bytes.
GEOMETRY = TileGeometry(m=2, n=3, k=4, keep=1, group=2, dtype="tf32", a_words=24, b_words=10, d_words=7)


@pytest.fixture
def product() -> Product:
    """7 x 200 by 200 x 5, of numbers between 1 and 2, both signs."""
    rng = np.random.default_rng(31)

    def numbers(*shape: int) -> np.ndarray:
        return np.ldexp(rng.integers(1 << 10, 1 << 11, shape) * rng.choice([-1, 1], shape), -10).astype(np.float32)

    a, b, c = (numbers(*shape).view(np.uint32) for shape in ((7, 200), (200, 5), (7, 5)))
    a[:, 1::2] = 0
    return sparse_operand(a, GEOMETRY.pattern, dtype="tf32"), b, c


def played(product: Product, load: LoadName, folder: Path) -> tuple[list[bytes], dict[str, list[str]]]:
    """The player's record of the first job, and the words of all banks in hexadecimal after it."""
    folder.mkdir()
    images, job = Images(*product, GEOMETRY), plan_of(*product[:2], GEOMETRY)[0]
    with Player(gemm_design(GEOMETRY).build(Simulator.VERILATOR), seed=5, plusargs={"dump": folder}) as player:
        record = player.play(program.job_program(images, job, NO_LIMIT, load)).splitlines()
    found = {
        file.stem: [line for line in file.read_text().splitlines() if line and not line.startswith(("//", "@"))]
        for file in folder.glob("*.hex")
    }
    return record, found


def test_the_banks_hold_what_the_ports_write(product: Product, tmp_path: Path) -> None:
    """Both begin with the same random contents, so that every word is equal: those written, and those left alone."""
    direct, ports = (played(product, load, tmp_path / load) for load in ("direct", "ports"))
    assert direct == ports
    words = {name.removeprefix("gemm_player.gemm.").removesuffix(".model"): found for name, found in direct[1].items()}
    assert words.keys() == {"a0", "a1", "b0", "b1", "b2", "d0", "d1"}
    # The first window of column 1 of B, the second bank: as it is in the matrix, in 19 of 32 bits.
    first = [int(number) >> 13 for number in product[1][:8, 1]]
    assert int(words["b1"][0], 16) == sum(number << 19 * place for place, number in enumerate(first))


def test_results_and_cycles_are_those_of_the_ports(product: Product) -> None:
    direct, ports = (run_gemm(*product, GEOMETRY, load=load, seed=9) for load in ("direct", "ports"))
    assert len(direct.job_cycles) > 10
    assert direct.job_cycles == ports.job_cycles
    assert (direct.transfers, direct.illegal) == (ports.transfers, ports.illegal)
    np.testing.assert_array_equal(direct.d, ports.d)


@pytest.mark.parametrize(("bank", "bit"), [("a1", 0), ("b2", 0), ("d0", 31)])
def test_a_flipped_bit_is_found(
    product: Product, bank: str, bit: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The simulation takes its operands from these words: the lowest bit of a tf32 number, and the sign of a c."""
    right = program.job_program
    number = ["a0", "a1", "b0", "b1", "b2", "d0", "d1"].index(bank)

    def wrong(*arguments: object) -> Iterator[bytes]:
        for piece in right(*arguments):  # type: ignore[arg-type]
            if piece[:1] == b"F" and piece[8] == number:
                size = (len(piece) - 9) // int.from_bytes(piece[1:5], "big")
                first = int.from_bytes(piece[9 : 9 + size], "big") ^ 1 << bit
                yield piece[:9] + first.to_bytes(size, "big") + piece[9 + size :]
            else:
                yield piece

    monkeypatch.setattr("zeroskip.cosim.mma.play.job_program", wrong)
    (checked,), waveform = verify_gemms([product], GEOMETRY, waveform=tmp_path / "flipped.vcd")
    assert checked.mismatches > 0
    assert waveform is not None
