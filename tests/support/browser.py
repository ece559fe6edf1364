"""Pages run in Chromium without a window, where it is installed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="optional: apt-get install chromium")


def run_in_browser(page: Path, script: str) -> Any:
    """What `script`, the body of a function, returns where it runs after the page's own scripts. Fails at any error
    that the browser reports of the page."""
    probe = page.with_name(f"{page.stem}.probe.html")
    code = (
        f"<script>document.body.append(Object.assign(document.createElement('pre'), "
        f"{{id: 'probe', textContent: JSON.stringify((() => {{{script}}})())}}));</script>"
    )
    probe.write_text(page.read_text().replace("</body>", f"{code}</body>"))
    assert CHROMIUM is not None
    # Root, which is who runs in a container, has no sandbox.
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    # Each step writes the cycle into the address, faster than a user does.
    flags.append("--disable-ipc-flooding-protection")
    profile = f"--user-data-dir={page.parent / 'chromium'}"
    made = subprocess.run(
        [CHROMIUM, *flags, profile, probe.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    reported = [line for line in made.stderr.splitlines() if "CONSOLE" in line]
    assert not reported, "\n".join(reported)
    found = re.search(r'<pre id="probe">(.*?)</pre>', made.stdout, re.S)
    assert found is not None, "the script did not run to its end"
    return json.loads(html.unescape(found[1]))
