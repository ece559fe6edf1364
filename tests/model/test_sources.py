"""What caches are keyed by: the sources that a module runs."""

from zeroskip.model.cores import CORES, core_module
from zeroskip.model.sources import PACKAGE, import_closure


def names(*modules: str) -> set[str]:
    return {path.relative_to(PACKAGE).as_posix() for path in import_closure(*modules)}


def test_imports_for_type_checkers_do_not_count() -> None:
    # It imports zeroskip.model.core and all of the API for type checkers alone.
    assert names("zeroskip.model.cores") == {"model/__init__.py", "model/cores.py"}


def test_the_cycles_of_a_core_depend_on_its_model_and_on_nothing_that_a_user_sees() -> None:
    for core in CORES:
        found = names(core_module(core))
        assert f"model/{core}/cycles.py" in found
        assert not [name for name in found if name.startswith(("commands/", "api/", "cosim/", "rtl/"))]
