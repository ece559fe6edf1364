"""The import closure of modules, which caches and journals are keyed by."""

from __future__ import annotations

from pathlib import Path

import pytest

from zeroskip.model import sources
from zeroskip.model.cores import CORES, costs_module
from zeroskip.model.sources import PACKAGE, import_closure


def names(*modules: str) -> set[str]:
    return {path.relative_to(PACKAGE).as_posix() for path in import_closure(*modules)}


def test_imports_for_type_checkers_do_not_count() -> None:
    # It imports zeroskip.model.core and all of the API for type checkers alone.
    assert names("zeroskip.model.cores") == {"model/__init__.py", "model/cores.py"}


def test_the_cycles_of_a_core_depend_on_its_model_and_on_nothing_that_a_user_sees() -> None:
    for core in CORES:
        found = names(costs_module(core))
        assert f"model/{core}/cycles.py" in found
        assert not [name for name in found if name.startswith(("commands/", "api/", "cosim/", "rtl/"))]


SMALL = {
    "__init__.py": "import zeroskip.exported",
    "exported.py": "",
    "top/__init__.py": "import zeroskip.around",
    "around.py": "",
    "top/direct.py": "from zeroskip.leaf import name",
    "top/inside.py": "def f():\n    if True:\n        from zeroskip import leaf",
    "top/module_of_package.py": "from zeroskip.rooms import room, NAME",
    "top/whole_package.py": "import zeroskip.rooms",
    "top/circle.py": "import zeroskip.top.other",
    "top/other.py": "import zeroskip.top.circle",
    "top/checked.py": "if TYPE_CHECKING:\n    import zeroskip.leaf\nelse:\n    import zeroskip.around",
    "top/foreign.py": "import os, zeroskipper\nfrom json import loads",
    "leaf.py": "raise RuntimeError('nothing is run')",
    "rooms/__init__.py": "NAME = 1",
    "rooms/room.py": "import zeroskip.leaf",
}
"""A package by its files; every `top/x.py` is asked for."""

EXPECTED = {
    "direct": {"leaf.py"},
    "inside": {"leaf.py"},
    "module_of_package": {"rooms/__init__.py", "rooms/room.py", "leaf.py"},
    "whole_package": {"rooms/__init__.py"},
    "circle": {"top/other.py"},
    "checked": set(),
    "foreign": set(),
}
"""What is found beside the module itself, its package, and what the package's __init__ imports."""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in SMALL.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    return tmp_path


@pytest.mark.parametrize("module", EXPECTED)
def test_imports_are_followed(module: str, small: Path) -> None:
    found = {path.relative_to(small).as_posix() for path in import_closure.__wrapped__(f"zeroskip.top.{module}")}
    assert found == {f"top/{module}.py", "top/__init__.py", "around.py"} | EXPECTED[module]


def test_what_is_left_out_takes_its_own_imports_with_it(small: Path) -> None:
    closure = import_closure.__wrapped__("zeroskip.top.module_of_package", without=("zeroskip.rooms.room",))
    found = {path.relative_to(small).as_posix() for path in closure}
    assert found == {"top/module_of_package.py", "top/__init__.py", "around.py", "rooms/__init__.py"}


def test_a_module_that_does_not_exist(small: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"there is no module 'zeroskip\.top\.none'"):
        import_closure.__wrapped__("zeroskip.top.none")
