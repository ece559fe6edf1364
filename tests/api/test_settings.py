"""Settings and paths of the public API: names are checked when they are given, and a path may be a text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import zeroskip
from zeroskip.api.eie import bench_search, layer, sweep
from zeroskip.api.mma import product


@pytest.mark.parametrize(
    ("make", "fields", "message"),
    [
        (
            zeroskip.FinetuneSettings,
            {"criterion": "l3"},
            "criterion must be one of auto, l1, l2, taylor, random, not 'l3'",
        ),
        (zeroskip.FinetuneSettings, {"schedule": "x"}, "schedule must be one of one-shot, iterative, cubic, not 'x'"),
        (
            zeroskip.FinetuneSettings,
            {"regularise": "x", "strength": 1.0},
            "regularise must be one of l1, l2, group-lasso, growing, not 'x'",
        ),
        (zeroskip.SearchSettings, {"method": "x"}, "method must be one of sensitivity, amc, netadapt, not 'x'"),
        (zeroskip.SearchSettings, {"granularity": "x"}, "granularity must be one of weights, nm, channels, not 'x'"),
        (zeroskip.DemoSettings, {"dataset": "mnist"}, "dataset must be one of digits, fashion-mnist, not 'mnist'"),
        (
            zeroskip.DemoSettings,
            {"network": "alexnet", "dataset": "fashion-mnist"},
            "network must be one of lenet-300-100, lenet-5, not 'alexnet'",
        ),
        (zeroskip.DemoSettings, {"simulator": "x"}, "simulator must be one of verilator, icarus, not 'x'"),
        (zeroskip.SimulateSettings, {"simulator": "x"}, "simulator must be one of verilator, icarus, not 'x'"),
        (layer.LayerSettings, {"simulator": "x"}, "simulator must be one of verilator, icarus, not 'x'"),
        (product.ProductSettings, {"simulator": "x"}, "simulator must be one of verilator, icarus, not 'x'"),
        (product.ProductSettings, {"check": "x"}, "check must be one of strict, relaxed, not 'x'"),
        (
            zeroskip.MmaCompileSettings,
            {"method": "x"},
            "method must be one of magnitude, sr-ste, wanda, sparsegpt, not 'x'",
        ),
        (
            zeroskip.EieCompileSettings,
            {"pruning": "x"},
            "pruning must be one of rounds, magnitude, wanda, sparsegpt, not 'x'",
        ),
        (
            zeroskip.EieCompileSettings,
            {"sharing": "x"},
            "sharing must be one of plain, weighted, feedback, scaled, not 'x'",
        ),
        (
            bench_search.SearchBenchSettings,
            {"granularity": "nm"},
            "granularity must be one of weights, channels, not 'nm'",
        ),
    ],
)
def test_names_that_are_unknown(make: Callable[..., object], fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 the whole message is compared
        make(**fields)
    assert str(error.value) == message


def test_demo_refuses_settings_of_another_core() -> None:
    settings = zeroskip.DemoSettings(own=zeroskip.EieCompileSettings())
    with pytest.raises(ValueError, match="own must be EieDemoSettings for core eie, not EieCompileSettings"):
        zeroskip.demo(settings=settings)


def public_functions() -> list[Callable[..., object]]:
    """Every function that the API offers: those that `zeroskip` exports, and those of the cores' own commands."""
    functions = [getattr(zeroskip, name) for name in zeroskip.__all__]
    functions += [bench_search.bench_search, layer.run_layer, sweep.sweep_eie, product.run_product]
    return [function for function in functions if inspect.isfunction(function)]


@pytest.mark.parametrize("function", public_functions(), ids=lambda function: function.__name__)
def test_paths_may_be_text(function: Callable[..., object]) -> None:
    """Where an argument takes a Path it takes a str."""
    for name, parameter in inspect.signature(function).parameters.items():
        kinds = [kind.strip() for kind in str(parameter.annotation).split("|")]
        assert "Path" not in kinds or "str" in kinds, f"{function.__name__}: {name}"


def test_text_paths_reach_the_checks(tmp_path: Path) -> None:
    """Each call ends at an input that is wrong, after the paths have been read."""
    missing = str(tmp_path / "missing.npz")
    with pytest.raises(ValueError, match=r"output must end in \.json, not '\.txt'"):
        zeroskip.compare("nets:net", "digits", output="x.txt")
    with pytest.raises(ValueError, match=r"output must end in \.json, not '\.txt'"):
        bench_search.bench_search("nets:net", "digits", output="x.txt", weights=missing)
    for run in (layer.run_layer, product.run_product):
        with pytest.raises((OSError, ValueError), match=r"missing\.npz"):
            run(missing, output=str(tmp_path / "out.npz"))
    with pytest.raises(ValueError, match="layers must be among"):
        sweep.sweep_eie(output=str(tmp_path), layers=("nothing",))
