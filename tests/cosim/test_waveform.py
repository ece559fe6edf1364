"""A co-simulation that fails leaves the waveform of what failed, and says where it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import waveforms
from support.networks import random_inputs, random_network, small_conv_network
from support.tile_networks import mlp, pruned

from zeroskip.cosim.build import WaveFormat
from zeroskip.cosim.eie import driver
from zeroskip.cosim.mma import play
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import SimulatorError
from zeroskip.cosim.verify import Verification, verify
from zeroskip.cosim.waves.vcd import name_without_colons
from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import gemm
from zeroskip.model.network.pattern import Pattern


def signals(waveform: Path) -> set[str]:
    """Names of the signals of a VCD file, without their widths."""
    head = waveform.read_text().partition("$enddefinitions")[0]
    return {line.split()[4] for line in head.splitlines() if line.strip().startswith("$var")}


def edges(waveform: Path, signal: str) -> int:
    """How often a signal of one bit becomes one."""
    head, _, changes = waveform.read_text().partition("$enddefinitions")
    code = next(line.split()[3] for line in head.splitlines() if f" {signal} $end" in line)
    return changes.split().count(f"1{code}")


@pytest.fixture
def small() -> tuple[EieNetwork, np.ndarray]:
    rng = np.random.default_rng(11)
    return random_network(rng, EieGeometry(pes=4), (70, 40, 9), 0.2), random_inputs(rng, 3, 70, (0.5,))


def test_an_output_of_the_array(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: tuple[EieNetwork, np.ndarray]
) -> None:
    """A golden model that is wrong in one bit of the second image: the waveform is that of its start alone."""
    right = golden.run_layer

    def wrong(network: EieNetwork, index: int, activations: np.ndarray) -> golden.LayerRun:
        layer = right(network, index, activations)
        if index == 1:
            layer.outputs[1, 4] ^= 1
        return layer

    monkeypatch.setattr(golden, "run_layer", wrong)
    verification = verify(*small, waveform=tmp_path / "waves" / "wrong.vcd")
    assert (verification.mismatches, verification.cycle_model_equal, verification.equal) == (1, True, False)
    waveform = shown(verification, tmp_path / "waves" / "wrong.vcd")
    assert {"clk", "done", "start", "load_valid"} <= signals(waveform)
    assert not any(":" in name for name in signals(waveform))
    # The clock begins before `start` and ends behind the last output.
    took = int(verification.cycles[1])
    assert took < edges(waveform, "clk") < took + 70 + 40


def test_a_cycle_of_the_array(monkeypatch: pytest.MonkeyPatch, small: tuple[EieNetwork, np.ndarray]) -> None:
    monkeypatch.setattr(cycles, "START_TO_DONE", 2)
    verification = verify(*small)
    assert (verification.mismatches, verification.cycle_model_equal) == (0, False)
    assert verification.waveform is not None
    verification.waveform.unlink()


def test_a_product_of_the_tile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def wrong(*arguments: Any) -> Any:
        d = gemm(*arguments)
        d[-1, -1] ^= 1
        return d

    monkeypatch.setattr(play, "gemm", wrong)
    network = compile_network(
        pruned(mlp(7), Pattern()), (30,), TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16)
    )
    verification = verify(network, np.ones((3, 30), np.float32), waveform=tmp_path / "wrong.vcd")
    assert (verification.mismatches, verification.equal) == (2, False)
    assert {"clk", "done", "start_valid"} <= signals(shown(verification, tmp_path / "wrong.vcd"))


def test_a_start_of_the_array_that_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A layer table without a last layer: the array runs on and on, and the error says where, with the waveform."""
    network = random_network(np.random.default_rng(11), EieGeometry(pes=4), (70, 40, 9), 0.2)
    inputs = random_inputs(np.random.default_rng(11), 1, 70, (0.5,))
    expected = int(cycles.run(network, [layer.inputs for layer in golden.run(network, inputs)]).sum()) + 1
    tables = driver.tables_program

    class WithoutLast:
        stages = ()

        def __getattr__(self, name: str) -> Any:
            return getattr(network, name)

    monkeypatch.setattr(driver, "tables_program", lambda _: tables(WithoutLast()))
    with pytest.raises(SimulatorError, match="start 0 was not done after") as caught:
        verify(network, inputs, waveform=tmp_path / "hung.vcd")
    found = re.search(
        r"after ([\d,]+) cycles, in layer \d; the cycle model expected ([\d,]+); waveform: (\S+)$", str(caught.value)
    )
    assert found is not None
    took, predicted = (int(number.replace(",", "")) for number in found.groups()[:2])
    assert predicted == expected
    assert 2 * expected + 1000 < took <= 2 * expected + 1002
    assert caught.value.waveform == Path(found[3]) == tmp_path / "hung.vcd"
    assert took < edges(tmp_path / "hung.vcd", "clk") < took + 100


def test_a_job_of_the_tile_that_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program's limit is far below what the job takes."""
    monkeypatch.setattr(play, "most_cycles", lambda expected: expected - 5)
    network = compile_network(
        pruned(mlp(7), Pattern()), (30,), TileGeometry(m=2, n=2, a_words=32, b_words=8, d_words=16)
    )
    with pytest.raises(SimulatorError, match=r"job 0 of \d+ was not done after .* expected \d+; waveform: ") as caught:
        verify(network, np.ones((3, 30), np.float32), waveform=tmp_path / "hung.vcd")
    assert caught.value.waveform == tmp_path / "hung.vcd"
    assert {"clk", "done", "start_valid"} <= signals(tmp_path / "hung.vcd")


def test_nothing_is_recorded_of_a_run_that_is_right(tmp_path: Path, small: tuple[EieNetwork, np.ndarray]) -> None:
    verification = verify(*small, waveform=tmp_path / "right.vcd")
    assert verification.equal
    assert verification.summary()["waveform"] is None
    assert list(tmp_path.iterdir()) == []


def shown(verification: Verification, waveform: Path) -> Path:
    """The waveform, which JSON and table must name."""
    assert verification.waveform == waveform
    assert verification.summary()["waveform"] == str(waveform)
    assert ("waveform", str(waveform)) in verification.rows()
    return waveform


@pytest.mark.parametrize(
    "form",
    [
        "vcd",
        pytest.param(
            "fst",
            marks=pytest.mark.skipif(
                not waveforms.can_write_fst(), reason="optional: apt-get install liblz4-dev zlib1g-dev"
            ),
        ),
    ],
)
def test_a_whole_run_is_recorded(tmp_path: Path, small: tuple[EieNetwork, np.ndarray], form: WaveFormat) -> None:
    """Each image, from its start to its done, takes the cycles that the run counted."""
    file = tmp_path / "run"
    verification = verify(*small, recording=Recording(file=file, format=form))
    assert verification.equal
    assert form == "fst" or not any(":" in name for name in signals(file))
    assert verification.waveform is None
    waveform = waveforms.read(file, ("player.start", "player.done"))
    # Signals that Yosys named by numbers are left out.
    assert not any(".$" in name for name in waveform.bits)
    assert len(waveform.bits) > 500
    took = [done - start for start, done in zip(*map(waveform.rises, waveform.changes), strict=True)]
    assert took == verification.cycles.tolist()


def test_both_images_of_two_stages_are_recorded_once(tmp_path: Path) -> None:
    """Later programs do not begin the file anew."""
    network = small_conv_network(np.random.default_rng(5), EieGeometry(pes=2))
    inputs = random_inputs(np.random.default_rng(6), 2, network.inputs, (0.5,))
    verify(network, inputs, recording=Recording(file=tmp_path / "run.vcd", format="vcd"))
    waveform = waveforms.read(tmp_path / "run.vcd", ("player.start", "player.done"))
    rises = [len(waveform.rises(name)) for name in waveform.changes]
    assert rises == 2 * [2 * network.starts_per_image]


def test_names_have_no_colons_and_codes_keep_theirs(tmp_path: Path) -> None:
    """GTKWave opens no file with a colon in a name."""
    head = "$scope module a $end\n $var wire 2 a:b \\$x.cc:2:y [1:0] $end\n$upscope $end\n$enddefinitions $end\n"
    text = f"{head}#0\nb1 a:b\n"
    (tmp_path / "run.vcd").write_text(text)
    name_without_colons(tmp_path / "run.vcd")
    assert (tmp_path / "run.vcd").read_text() == text.replace("cc:2:y", "cc_2_y")
