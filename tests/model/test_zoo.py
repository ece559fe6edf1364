"""The table of networks in docs/measurements/networks.md: what it says is so, and a few of its networks run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.language_models import GEOMETRY
from support.zoo import ZOO
from support.zoo.entry import Entry
from support.zoo.run import TILE_BOUND, run

from zeroskip.model.network.fold import fold

TABLE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs/measured/networks.json").read_text())
RUN = (
    "ResNet with group norm",
    "FCN",
    "fast neural style, a block",
    "FSRCNN",
    "EEGNet",
    "M5",
    "attention by einsum",
    "Llama, a block",
    "PointNet",
    "Deep Sets",
    "wide and deep",
    "actor of PPO",
)
"""Those whose operations no other test has."""


def entry(name: str) -> Entry:
    return next(one for one in ZOO if one.name == name)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [one.name for one in ZOO])
def test_a_network_is_read_or_refused_as_the_table_says(name: str) -> None:
    found, refused = entry(name), TABLE[name]["eie"].get("refused")
    assert TABLE[name]["source"] == found.source
    if refused is None:
        fold(found.module(), found.inputs())
        return
    # Without the list of all that is supported, and the number of the line.
    message = refused.partition("; supported: Linear,")[0]
    with pytest.raises(ValueError, match=f"^{re.escape(message.rpartition(', line')[0] or message)}"):
        fold(found.module(), found.inputs())


@pytest.mark.parametrize("name", RUN)
def test_golden_models_are_as_close_to_torch_as_stated(name: str) -> None:
    on_array = run(entry(name), "eie", rtl_samples=0)
    assert on_array["of_bound"] <= 1
    assert on_array["saturated"] == 0
    assert run(entry(name), "mma", rtl_samples=0)["difference"] <= TILE_BOUND


@pytest.mark.parametrize("name", ["EEGNet", "PointNet", "attention by einsum"])
def test_the_array_gives_what_its_golden_model_gives(name: str) -> None:
    rtl = run(entry(name), "eie", rtl_samples=1, geometry=GEOMETRY)["rtl"]
    assert (rtl["mismatches"], rtl["cycle_model_equal"], rtl["golden_equal"]) == (0, True, True)
