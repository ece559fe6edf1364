"""Where what was built is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$ZEROSKIP_CACHE, or `zeroskip` in the user's cache folder."""
    if "ZEROSKIP_CACHE" in os.environ:
        return Path(os.environ["ZEROSKIP_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "zeroskip"
