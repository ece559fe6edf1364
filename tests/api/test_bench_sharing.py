"""`zeroskip bench sharing`, and `zeroskip compile --sharing`: the same weights are measured and compiled."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from zeroskip.api.eie.bench_sharing import SharingBenchSettings, bench_sharing
from zeroskip.model.eie.settings import Sharing

Command = Callable[..., tuple[int, str, str]]

NETWORK = ("mynet:Net", "--weights", "weights.safetensors", "--data", "data.npz")


def by_way(result: dict[str, Any], figure: str) -> dict[tuple[str, str, str], float]:
    return {(row["pruning"], row["keeps"], row["sharing"]): row[figure] for row in result["rows"]}


def test_every_way_to_prune_has_every_way_to_share(zs: Command) -> None:
    """The network as it is has the accuracy that `train` measures, with the same samples held out."""
    code, out, err = zs("bench", "sharing", *NETWORK, "--density", 0.3, "--pattern", "1:4", "--json")
    assert code == 0, err
    result = json.loads(out)
    found = by_way(result, "accuracy")
    ways = [("none", "100%"), *itertools.product(("magnitude", "wanda", "sparsegpt"), ("30%", "1:4"))]
    assert set(found) == {(way, keeps, sharing) for way, keeps in ways for sharing in ("float", *get_args(Sharing))}
    assert all(row["perplexity"] is None for row in result["rows"])
    code, out, err = zs("train", *NETWORK, "--epochs", 0, "--output", "same.safetensors", "--json")
    assert code == 0, err
    assert found["none", "100%", "float"] == json.loads(out)["accuracy"]["start"]


def test_a_language_model_has_perplexities(zs: Command, tmp_path: Path) -> None:
    """Shared by what its layers read, it is nearer to itself than shared by its weights alone."""
    network = "zeroskip.networks:gpt(width=8, blocks=1, heads=2)"
    (tmp_path / "book.txt").write_text("the cat sat on the mat, and the dog sat on the log.\n" * 200)
    data = ("--data", "text:book.txt", "--json")
    trained = ("--optimizer", "adam", "--learning-rate", 0.03, "--epochs", 12, "--output", "gpt.safetensors")
    code, out, err = zs("train", network, *data, *trained)
    assert code == 0, err
    perplexity = json.loads(out)["perplexity"]["trained"]
    code, out, err = zs("bench", "sharing", network, *data, "--weights", "gpt.safetensors")
    assert code == 0, err
    found = by_way(json.loads(out), "perplexity")
    assert found["none", "100%", "float"] == pytest.approx(perplexity, rel=1e-6)
    assert found["sparsegpt", "50%", "float"] < found["magnitude", "50%", "float"]
    for sharing in get_args(Sharing):
        written = ("--weights", "gpt.safetensors", "--sharing", sharing, "--output", "gpt.zs", "--limit", 4)
        code, out, err = zs("compile", network, *data, *written)
        assert code == 0, err
        assert json.loads(out)["perplexity"]["shared"] == pytest.approx(found["none", "100%", sharing], rel=1e-6)


def test_a_pruned_network_is_trained_and_shared_by_what_it_reads(zs: Command) -> None:
    """With a density, the shared values are trained after that; the weights that were pruned stay so."""
    arguments = (*NETWORK, "--density", 0.3, "--sharing", "feedback", "--output", "net.zs", "--json")
    code, out, err = zs("compile", *arguments)
    assert code == 0, err
    result = json.loads(out)
    assert result["weights"]["kept"] == round(0.3 * result["weights"]["total"])
    assert result["accuracy"]["shared"] > 0.9


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_compile_prunes_at_once(zs: Command, tmp_path: Path, method: str) -> None:
    """Without training: for the array to the weights that the comparison measures, for the tile to the pattern."""
    (tmp_path / "book.txt").write_text("the cat sat on the mat, and the dog sat on the log.\n" * 200)
    network, data = "zeroskip.networks:gpt(width=8, blocks=1, heads=2)", ("--data", "text:book.txt", "--json")
    code, out, err = zs("bench", "sharing", network, *data)
    assert code == 0, err
    found = by_way(json.loads(out), "perplexity")
    arguments = ("compile", network, *data, "--output", "gpt.zs", "--limit", 4)
    code, out, err = zs(*arguments, "--density", 0.5, "--pruning", method, "--sharing", "weighted")
    assert code == 0, err
    result = json.loads(out)
    assert result["weights"]["kept"] == pytest.approx(result["weights"]["total"] / 2, abs=1)
    for step, sharing in (("pruned", "float"), ("shared", "weighted")):
        assert result["perplexity"][step] == pytest.approx(found[method, "50%", sharing], rel=1e-6)
    if method == "magnitude":
        return
    code, out, err = zs(*arguments, "--core", "mma", "--prune", "--method", method)
    assert code == 0, err
    result = json.loads(out)
    assert result["weights"]["kept"] == result["weights"]["total"] / 2
    assert result["perplexity"]["dense"] == pytest.approx(found["none", "100%", "float"], rel=1e-6)
    assert result["perplexity"]["sparse"] == pytest.approx(found[method, "2:4", "float"], rel=1e-6)
    assert result["perplexity"]["golden"] > 0
    assert any(layer["sparse"] for layer in result["layers"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"density": 1.0}, "density must be above 0 and below 1, not 1"),
        ({"pattern": "4:4"}, "pattern must be one that prunes, not '4:4'"),
        ({"pattern": "half"}, "a pattern is written N:M, N:M pairs or dense (2:4, 4:8 pairs), not 'half'"),
    ],
)
def test_settings_that_prune_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SharingBenchSettings(**settings)


def test_the_table_has_a_column_for_each_way_to_share(zs: Command, tmp_path: Path) -> None:
    result = bench_sharing("mynet:Net", tmp_path / "data.npz", weights=tmp_path / "weights.safetensors")
    (table,) = result.tables()
    assert list(table.heads) == ["pruned by", "keeps", "float", *get_args(Sharing)]
    assert [row[:2] for row in table.rows][:2] == [["none", "100%"], ["magnitude", "50%"]]
    first = result.summary()["rows"][0]["accuracy"]
    assert table.rows[0][2] == f"{first:.2%}"
