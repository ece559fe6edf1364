"""Pages of the viewer read back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zeroskip.cosim.viewer.packed import unpacked


def run_of(page: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a page says of its run, and its arrays."""
    found = re.search(r'<script type="application/json" id="run">(.*?)</script>', page.read_text())
    assert found is not None, "the page holds no run"
    run = json.loads(found[1])
    return run, {name: unpacked(pack) for name, pack in run.pop("arrays").items()}
