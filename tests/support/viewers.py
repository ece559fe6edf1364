"""Pages of the viewer read back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from support.browser import run_in_browser

from zeroskip.cosim.viewer.packed import unpacked


def run_of(page: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a page says of its run, and its arrays."""
    found = re.search(r'<script type="application/json" id="run">(.*?)</script>', page.read_text())
    assert found is not None, "the page holds no run"
    run = json.loads(found[1])
    return run, {name: unpacked(pack) for name, pack in run.pop("arrays").items()}


RECORDS = {"waves": "run.vcd", "trace": "run.json", "viewer": "run.html"}
"""What records a run, as the options of commands name it."""

RECORDED = [word for name, file in RECORDS.items() for word in (f"--{name}", file)]


def require_recorded(result: dict[str, Any], folder: Path) -> None:
    """Fails unless a command with RECORDED wrote these files, and sessions beside the waveform, and says so."""
    assert {name: result[name] for name in RECORDS} == RECORDS
    assert sorted(result["sessions"]) == ["run.gtkw", "run.sucl"]
    assert {*RECORDS.values(), *result["sessions"]} <= {file.name for file in folder.iterdir()}


def step_through(page: Path, shown: dict[str, str]) -> list[dict[str, list[str]]]:
    """Steps through a page in a browser by its keys, from the first cycle to the last. Returns of each cycle the texts
    of the elements that each selector of `shown` finds."""
    script = f"""
        const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", {{key, bubbles: true}}));
        const seen = [];
        press("Home");
        for (let cycle = 0; cycle <= Number(document.getElementById("scrub").max); cycle++) {{
            seen.push(Object.fromEntries(Object.entries({json.dumps(shown)}).map(([name, selector]) =>
                [name, Array.from(document.querySelectorAll(selector), (element) => element.textContent)])));
            press("ArrowRight");
        }}
        return seen;
    """
    found: list[dict[str, list[str]]] = run_in_browser(page, script)
    return found


def number_of(text: str) -> float:
    """The number that a page shows as text."""
    return float(text.replace("\u2212", "-").replace("\u221e", "inf").replace(",", ""))
