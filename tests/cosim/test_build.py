from __future__ import annotations

import re

import pytest

from zeroskip.cosim.mma.design import tile_design
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mma.geometry import TileGeometry


@pytest.mark.parametrize(("quick", "level"), [("1", "-O0"), ("", "-O2")])
def test_quick_builds_are_not_optimised(quick: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a folder of its own in the cache: the last -O before the design's file is the one that counts."""
    monkeypatch.setenv("ZEROSKIP_QUICK_BUILDS", quick)
    build = tile_design(TileGeometry(m=1, n=1, dtype="int8", out="int32")).build(Simulator.VERILATOR)
    (compiled,) = re.findall(r"^.* -c .*Vtop__ALL\.cpp$", (build.folder / "build.log").read_text(), re.M)
    assert re.findall(r"(?<= )-O\S+", compiled)[-1] == level
