"""Pages of the site that are made from other files when mkdocs builds it; nothing is written into docs/.

The start page is the README, and CONTRIBUTING and CHANGELOG are in the site as they are in the repository. The
examples page shows the files of examples/, and the command reference comes from the commands.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import commands

ROOT = Path(__file__).parents[2]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
EXAMPLES = """# Examples

Small scripts to copy. Each is in the folder `examples` of the repository and is run by the tests.

"""


def on_files(files: Files, *, config: Any) -> Files:
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=_moved((ROOT / source).read_text())))
    files.append(File.generated(config, "examples.md", content=_examples()))
    files.append(File.generated(config, "reference/commands.md", content=commands.page()))
    return files


def _moved(text: str) -> str:
    """A page of the root with its links as they are from docs/."""
    text = re.sub(r"\]\(docs/", "](", text).replace("](examples)", "](examples.md)")
    for source, page in PAGES.items():
        text = text.replace(f"]({source}", f"]({page}")
    return text


def _examples() -> str:
    """Each script whole, below its name."""
    scripts = sorted((ROOT / "examples").glob("*.py"))
    return EXAMPLES + "\n".join(f"## {one.name}\n\n```python\n{one.read_text()}```\n" for one in scripts)
