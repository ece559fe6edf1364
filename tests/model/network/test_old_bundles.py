"""Files that earlier versions of zeroskip wrote.

`bundles_of_version_2` was written by commit ec926c7, before cores had rooms of their own: one small network for each
core, its inputs, and what the golden models of that version made of them.
"""

from pathlib import Path

import numpy as np
import pytest

from zeroskip.model.cores import load_core
from zeroskip.model.network.container import read

FOLDER = Path(__file__).parent / "bundles_of_version_2"
CORES = sorted(path.stem for path in FOLDER.glob("*.zs"))
"""Those that version 2 had."""


def test_they_are_there() -> None:
    assert len(CORES) == 2


@pytest.mark.parametrize("name", CORES)
def test_they_load_and_compute_what_they_did(name: str) -> None:
    core = load_core(name)
    network = core.from_container(read(FOLDER / f"{name}.zs"))

    with np.load(FOLDER / "outputs.npz") as recorded:
        np.testing.assert_array_equal(core.outputs(network, recorded["inputs"]), recorded[name])


@pytest.mark.parametrize("name", CORES)
def test_saved_again_they_are_the_same_bytes(name: str, tmp_path: Path) -> None:
    core = load_core(name)
    core.save(core.from_container(read(FOLDER / f"{name}.zs")), tmp_path / "again.zs")

    assert (tmp_path / "again.zs").read_bytes() == (FOLDER / f"{name}.zs").read_bytes()
