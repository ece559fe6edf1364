"""Fills the tables of docs/measurements/networks.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

import json
import math
from typing import Any

from tables import DOCS, fill, markdown, measured, update

CORES = {"eie": "EIE array", "eie-feedback": "EIE array, error feedback", "mma": "N:M tile"}
HALVES = {"eie-sparsegpt": "EIE array, half of the weights", "mma-sparsegpt": "N:M tile, 2:4"}
LENETS = {"bench-sharing-lenet-300-100": "LeNet-300-100", "bench-sharing-lenet-5": "LeNet-5"}
WHOLE = {"resnet-20": "ResNet-20", "mobilenet": "MobileNetV1", "lstm": "LSTM", "gpt": "GPT"}
PRUNED = {"magnitude": "magnitude", "wanda": "Wanda", "sparsegpt": "SparseGPT"}


def language_model_table(trained: dict[str, Any], compiled: dict[str, dict[str, Any]]) -> str:
    rows = [["", "accuracy", "perplexity", "sequences"]]

    def add(name: str, result: dict[str, Any], step: str, count: int) -> None:
        rows.append([name, f"{result['accuracy'][step]:.2%}", f"{result['perplexity'][step]:.3f}", f"{count:,}"])

    add("before training", trained, "start", trained["samples"]["test"])
    add("trained", trained, "trained", trained["samples"]["test"])
    add("shared", compiled["eie"], "shared", compiled["eie"]["test_images"])
    add("shared with error feedback", compiled["eie-feedback"], "shared", compiled["eie-feedback"]["test_images"])
    for core, result in compiled.items():
        add(f"golden model, {CORES[core]}", result, "golden", result["golden_images"])
    return markdown(rows)


def sharing_table(result: dict[str, Any]) -> str:
    """A row for each way to prune, a column for each way to share."""
    found: dict[str, dict[str, float]] = {}
    for row in result["rows"]:
        name = "not pruned" if row["pruning"] == "none" else f"{PRUNED[row['pruning']]}, {row['keeps']}"
        found.setdefault(name, {})[row["sharing"]] = row["perplexity"]
    heads = ["", *next(iter(found.values()))]
    return markdown([heads, *([name, *(f"{one:.3f}" for one in by.values())] for name, by in found.items())])


def halves_table(compiled: dict[str, dict[str, Any]], texts: dict[str, dict[str, Any]]) -> str:
    """A column for each core with all weights, and with half of them."""
    names = {**CORES, **HALVES}
    rows: dict[str, list[str]] = {"": [names[run] for run in compiled]}
    for run, result in compiled.items():
        text = texts[run]
        assert text["mismatches"] == 0
        assert text["cycle_model_equal"]
        _, *others = text["tokens"]
        for name, cell in {
            "weights kept": f"{result['weights']['kept']:,}",
            "bits of the network": f"{result['bits']['image']:,}",
            "perplexity of the golden model": f"{result['perplexity']['golden']:.3f}",
            "sequences": f"{result['golden_images']:,}",
            "cycles of a character": f"{sum(one['cycles'] for one in others) / len(others):,.0f}",
            "values that differ from the golden model": f"{text['mismatches']} of {text['values']:,}",
        }.items():
            rows.setdefault(name, []).append(cell)
    return markdown([[name, *cells] for name, cells in rows.items()])


def lenets_table(results: dict[str, dict[str, Any]]) -> str:
    """A row for each network as it is, a column for each way to share."""
    rows = {
        name: {row["sharing"]: row["accuracy"] for row in result["rows"] if row["pruning"] == "none"}
        for name, result in results.items()
    }
    heads = ["", *next(iter(rows.values()))]
    return markdown([heads, *([name, *(f"{one:.1%}" for one in by.values())] for name, by in rows.items())])


def generated_table(results: dict[str, dict[str, Any]]) -> str:
    rows = [["", *(CORES[core] for core in results)]]
    cells: dict[str, list[str]] = {}
    for result in results.values():
        assert result["mismatches"] == 0
        assert result["cycle_model_equal"]
        geometry = result["geometry"]
        first, *others = result["tokens"]
        size = (
            f"{geometry['pes']} PEs"
            if result["core"] == "eie"
            else f"{geometry['m']} x {geometry['n']} x {geometry['k']}"
        )
        count = len(others)
        for name, cell in {
            "size": size,
            "characters of the prompt": f"{len(result['prompt'])}",
            "cycles of the prompt": f"{first['cycles']:,}",
            "seconds of the prompt": f"{first['seconds']:.1f}",
            "cycles of a further character": f"{sum(one['cycles'] for one in others) / count:,.0f}",
            "seconds of a further character": f"{sum(one['seconds'] for one in others) / count:.2f}",
            "values compared with the golden model": f"{result['values']:,}",
            "different": f"{result['mismatches']}",
            "text": f"`{(result['prompt'] + result['text']).replace(chr(10), ' ')}`",
        }.items():
            cells.setdefault(name, []).append(cell)
    return markdown([*rows, *([name, *row] for name, row in cells.items())])


def whole_table(results: dict[tuple[str, str], dict[str, Any]]) -> str:
    """A row for each network and core, of those that were measured."""
    heads = ["network", "core", "float", "weights kept", "golden model", "over", "on the RTL", "values", "different"]
    rows = [[*heads, "cycles of each", "as predicted"]]
    for (name, core), result in results.items():
        rtl, kept = result["rtl"], result["compile"]
        assert rtl["mismatches"] == 0
        assert rtl["cycle_model_equal"]
        golden, text = whole_golden(result["golden"]), "loss" in result["golden"][0]
        samples = sum(part["samples"] for part in result["golden"])
        rows.append(
            [
                WHOLE[name],
                CORES[core],
                f"{kept['dense']:.3f}" if text else f"{kept['dense']:.2%}",
                f"{kept['kept']:,} ({kept['kept'] / kept['total']:.0%})",
                f"{golden:.3f}" if text else f"{golden:.2%}",
                f"{samples:,} {'sequences' if text else 'images'}",
                f"{rtl['samples']} {'characters' if text else 'images'}",
                f"{rtl['values']:,}",
                f"{rtl['mismatches']}",
                f"{rtl['cycles']:,.0f}",
                "all",
            ]
        )
    return markdown(rows)


def whole_golden(parts: list[dict[str, Any]]) -> float:
    """The accuracy of all parts together, or the perplexity."""
    count = sum(part["samples"] for part in parts)
    key = "loss" if "loss" in parts[0] else "accuracy"
    mean = sum(part[key] * part["samples"] for part in parts) / count
    return math.exp(mean) if key == "loss" else float(mean)


def whole_results() -> dict[tuple[str, str], dict[str, Any]]:
    """Those of measure_whole.py that are complete, and the GPT from its own files."""
    found = {}
    for name in WHOLE:
        for core in ("eie", "mma"):
            file = DOCS / f"measured/whole-{name}-{core}.json"
            result = json.loads(file.read_text()) if file.exists() else {}
            if {"compile", "rtl", "golden"} <= result.keys():
                found[name, core] = result
    for core in ("eie", "mma"):
        compiled, text = measured(f"gpt-{core}-sparsegpt"), measured(f"gpt-{core}-sparsegpt-text")
        _, *further = text["tokens"]
        found["gpt", core] = {
            "compile": {**compiled["weights"], "dense": compiled["perplexity"]["dense"]},
            "golden": [{"samples": compiled["golden_images"], "loss": math.log(compiled["perplexity"]["golden"])}],
            "rtl": {
                **{key: text[key] for key in ("values", "mismatches", "cycle_model_equal")},
                "samples": len(text["prompt"]) + len(further),
                "cycles": sum(one["cycles"] for one in further) / len(further),
            },
        }
    return found


def resnet_table(result: dict[str, Any]) -> str:
    compiled, golden, rtl = (result[part] for part in ("compile", "golden", "rtl"))
    assert rtl["mismatches"] == 0
    each = rtl["seconds"] / rtl["images"]
    rows = [
        ["", "images", "seconds", "goal"],
        ["compile, without its golden model", "", f"{compiled['seconds'] - compiled['golden_seconds']:.0f}", "60"],
        ["compile", f"{compiled['golden_images']:,}", f"{compiled['seconds']:.0f}", ""],
        ["golden model", f"{golden['images']:,}", f"{golden['seconds']:.0f}", ""],
        ["golden model, in proportion", "10,000", f"{golden['seconds'] / golden['images'] * 10_000:.0f}", "600"],
        [f"RTL, {rtl['cycles_per_image']:,.0f} cycles an image", f"{rtl['images']}", f"{rtl['seconds']:.0f}", ""],
        ["RTL, in proportion", "20", f"{each * 20:.0f}", "600"],
    ]
    return markdown(rows)


def zoo_table(results: dict[str, Any]) -> str:
    rows = [["network", "source", "EIE: difference", "of bound", "RTL", "tile: difference", "RTL"]]
    for name, result in results.items():
        array, tile = result["eie"], result["mma"]
        if "refused" in array:
            rows.append([name, result["source"], "refused", "", "", "refused", ""])
            continue
        assert array["of_bound"] <= 1
        assert tile["difference"] <= 1 / 256
        for found in (array, tile):
            assert found["rtl"]["mismatches"] == 0
            assert found["rtl"]["cycle_model_equal"]
            assert found["rtl"]["golden_equal"]
        cells = [f"{array['difference']:.2%}", f"{array['of_bound']:.2%}", f"{array['rtl']['cycles']:,.0f}"]
        rows.append([name, result["source"], *cells, f"{tile['difference']:.3%}", f"{tile['rtl']['cycles']:,.0f}"])
    return markdown(rows)


def refused_table(results: dict[str, Any]) -> str:
    rows = [["network", "message"]]
    for name, result in results.items():
        if "refused" in result["eie"]:
            # Without the list of all that is supported, and the place.
            message = result["eie"]["refused"].partition("; supported: Linear")[0].rpartition(" (tests/")
            rows.append([name, message[0] or message[2]])
    return markdown(rows).replace("|---:|", "|---|")


def filled(page: str) -> str:
    compiled = {core: measured(f"gpt-{core}") for core in CORES}
    page = fill(page, "measured: language model", language_model_table(measured("gpt-trained"), compiled))
    page = fill(page, "measured: sharing", sharing_table(measured("bench-sharing")))
    lenets = {name: measured(file) for file, name in LENETS.items()}
    page = fill(page, "measured: sharing, LeNets", lenets_table(lenets))
    runs = ("eie-feedback", "eie-sparsegpt", "mma", "mma-sparsegpt")
    both = [{run: measured(f"gpt-{run}{end}") for run in runs} for end in ("", "-text")]
    page = fill(page, "measured: halves", halves_table(*both))
    page = fill(page, "measured: generated", generated_table({core: measured(f"gpt-{core}-text") for core in CORES}))
    page = fill(page, "measured: whole", whole_table(whole_results()))
    page = fill(page, "measured: resnet", resnet_table(measured("resnet-20")))
    page = fill(page, "measured: zoo", zoo_table(measured("networks")))
    return fill(page, "measured: refused", refused_table(measured("networks")))


if __name__ == "__main__":
    update(DOCS / "measurements/networks.md", filled)
