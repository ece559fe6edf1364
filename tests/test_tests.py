"""Rules that the tests themselves keep."""

from __future__ import annotations

import ast
from pathlib import Path

MANY = 6
"""From so many assertions on, a reader must be told what they check together."""


def test_many_assertions_are_explained() -> None:
    """Split the tests that are listed, or say in their docstring what their assertions check together."""
    found = []
    for path in sorted(Path(__file__).parent.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assertions = sum(isinstance(inner, ast.Assert) for inner in ast.walk(node))
                if assertions >= MANY and ast.get_docstring(node) is None:
                    found.append(f"{path.name}:{node.lineno} {node.name}: {assertions} assertions")
    assert found == []
