"""Settings of all tests, and the commands as a user runs them."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from safetensors.torch import save_file

import zeroskip.cli

# The helpers have this name although their folder is on no path: with it `model`, `rtl` and all other folders of tests
# would be modules too, and would be taken for a user's or for ours.
_spec = importlib.util.spec_from_file_location("support", Path(__file__).parent / "support" / "__init__.py")
assert _spec is not None
assert _spec.loader is not None
sys.modules["support"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["support"])

# A shell's background ignores Ctrl-C, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The first example of a test may compile machine code (numba), so none has a deadline.
settings.register_profile("zeroskip", deadline=None)
settings.load_profile("zeroskip")


Command = Callable[..., tuple[int, str, str]]

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(30, 20)
        self.norm = nn.BatchNorm1d(20)
        self.drop = nn.Dropout(0.3)
        self.second = nn.Linear(20, 4)

    def forward(self, x):
        return self.second(self.drop(torch.relu(self.norm(self.first(torch.flatten(x, 1))))))

def conv():
    return nn.Sequential(nn.Conv3d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 4 * 3, 4))

def number():
    return 3
"""


@pytest.fixture
def zs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs a command in a folder that holds mynet.py, weights.safetensors and data.npz; gives exit code, standard
    output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    (tmp_path / "mynet.py").write_text(NETWORK)
    import mynet  # type: ignore[import-not-found]

    torch.manual_seed(5)
    network = mynet.Net()
    network.norm.running_mean.uniform_(-1, 1)
    network.norm.running_var.uniform_(0.5, 2)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(4, 6, 5))
    labels = rng.integers(0, 4, 200)
    inputs = (centres[labels] + 0.5 * rng.normal(size=(200, 6, 5))).astype(np.float32)
    np.savez(tmp_path / "data.npz", inputs=inputs, labels=labels)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zeroskip", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            zeroskip.cli.main()
        captured = capsys.readouterr()
        return int(exit_.value.code or 0), captured.out, captured.err

    return run
