"""`zeroskip sparseconv` as a user runs it, and one clear error for what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.forging import forge, put
from support.sparse_networks import network_vectors

from zeroskip.api.sparseconv.network import SparseNetworkSettings, run_sparse_network
from zeroskip.model.network.pattern import Pattern
from zeroskip.sparseconv import int8

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    int8.save_vectors(network_vectors(pattern=Pattern(), extent=5), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_a_network_from_its_file(zs: Command, file: Path) -> None:
    """The JSON and the Python call tell of the same layers."""
    code, out, err = zs("sparseconv", "net.safetensors", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["mismatches"], result["equal"], result["model_equal"]) == (0, True, True)
    assert [(row["in_channels"], row["out_channels"]) for row in result["layers"]] == [(3, 8), (8, 12), (12, 6)]
    assert [row["stride"] for row in result["layers"]] == [[1, 1, 1], [2, 2, 2], [1, 1, 1]]
    assert {row["pattern"] for row in result["layers"]} == {"2:4"}
    vectors = int8.load_vectors(file)
    assert [row["pairs"] for row in result["layers"]] == [len(own.triples) for own in vectors.vectors]
    assert result["tile_cycles"] == sum(row["tile_cycles"] for row in result["layers"])
    called = run_sparse_network(file).summary()
    assert {**called, "file": "", "seconds": 0} == {**result, "file": "", "seconds": 0}


def test_a_network_for_people_on_other_sizes(zs: Command, file: Path) -> None:
    code, out, err = zs("sparseconv", "net.safetensors", "--width", 4)
    assert code == 0, err
    assert "Layers of net.safetensors" in out
    assert "On the mapping unit and the tile" in out
    assert re.search(r"1 .* 8 to 12 .* 3 x 3 x 3 .* 2 .* 2:4", out)
    # Nothing is cut off in a terminal of 80 columns.
    assert "…" not in out


def test_another_sum_is_told(zs: Command, file: Path) -> None:
    """The file of a network whose sums are not those of the hardware."""

    def change(_: Any, tensors: dict[str, Any]) -> None:
        tensors["sums.2"][0, 0] ^= 1

    forge(file, change)
    code, out, _ = zs("sparseconv", "net.safetensors", "--json")
    assert code == 1
    result = json.loads(out)
    assert (result["mismatches"], result["equal"], result["model_equal"]) == (1, False, True)


def test_wrong_files_are_refused(zs: Command, file: Path) -> None:
    forge(file, lambda header, _: put(header, ("layers", 1, "shift"), 63))
    code, out, err = zs("sparseconv", "net.safetensors", "--json")
    assert (code, out) == (1, "")
    assert err == "error: net.safetensors: layers[1].shift must be an integer from 0 to 62, not 63\n"
    code, out, err = zs("sparseconv", "data.npz", "--json")
    assert (code, out) == (1, "")
    assert err.startswith("error: data.npz: not a complete safetensors file")


def test_simulate_names_the_command_for_sparse_networks(zs: Command, file: Path) -> None:
    code, out, err = zs("simulate", "net.safetensors", "--data", "data.npz")
    assert (code, out) == (1, "")
    assert err == (
        "error: net.safetensors: core must be one of eie, mma, not 'sparseconv': zeroskip sparseconv FILE runs sparse "
        "networks\n"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 6}, "width must be a power of two from 1 to 64, not 6"),
        ({"m": 0}, "m must be from 1 to 64, not 0"),
        ({"n": 65}, "n must be from 1 to 64, not 65"),
    ],
)
def test_wrong_settings_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SparseNetworkSettings(**fields)  # type: ignore[arg-type]
