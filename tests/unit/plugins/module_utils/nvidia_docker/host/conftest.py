# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver installed under a directory: ELF files, links, a loader's cache, written as bytes."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[6]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

from driver_record import replay  # noqa: E402
from elf_writer import MACHINES, elf  # noqa: E402

MODULE = "ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.driver_volume"
CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import importlib
driver_volume = importlib.import_module(sys.argv[2])
{before}
made = driver_volume.create(Path(sys.argv[3]), "550.54.15", Path(sys.argv[4]))
print(made.changed)
"""

FLAGS = {"x86-64": 0x0303, "i386": 0x0003, "aarch64": 0x0A03, "x32": 0x0803, "libc4": 0x0300}
ABIS = {3: "i386", 62: "x86-64", 183: "aarch64"}
"""Of the loader's cache, by the ELF file's machine."""


def cache(entries: list[tuple[str, str, str]], old_part: bool = False) -> bytes:
    """Return an ld.so.cache with (name, path, ABI) entries, after an old part if asked for."""
    head = b""
    if old_part:
        # One old entry; the new part starts at the next multiple of eight.
        head = struct.pack("<12sIiII", b"ld.so-1.7.0\0", 1, 3, 0, 4).ljust(32, b"\0")
    strings = b""
    table = b""
    offset = 48 + 24 * len(entries)
    for name, path, abi in entries:
        key = offset + len(strings)
        strings += os.fsencode(name) + b"\0"
        value = offset + len(strings)
        strings += os.fsencode(path) + b"\0"
        table += struct.pack("<iIIIQ", FLAGS[abi], key, value, 0, 0)
    new = struct.pack("<20sII20x", b"glibc-ld.so.cache1.1", len(entries), len(strings))
    return head + new + table + strings


class InstalledDriver:
    """A driver root with files that a test adds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries: list[tuple[str, str, str]] = []
        (root / "etc").mkdir(parents=True)

    def path(self, origin: str) -> Path:
        path = self.root / origin.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def replay(self, record: dict) -> None:
        """Add everything of a record of real packages, with small files of the same facts."""
        replay(record, self.link, self.file)
        self.entries = [tuple(entry) for entry in record["cache"]]
        self.ldconfig()

    def library(
        self,
        origin: str,
        soname: str | None = None,
        bits: int = 64,
        data: bytes | None = None,
        **more,
    ) -> Path:
        """Add a library to the tree and, under its SONAME, to the loader's cache."""
        path = self.file(origin, elf(soname, bits=bits, **more) if data is None else data)
        name = soname if soname is not None and soname.startswith("lib") else path.name
        if name != path.name:
            path.with_name(name).symlink_to(path.name)
        self.entries.append((name, origin, ABIS[more.get("machine") or MACHINES[bits]]))
        return path

    def program(self, origin: str, data: bytes | None = None, **more) -> Path:
        return self.file(origin, elf(**more) if data is None else data, 0o755)

    def file(self, origin: str, data: bytes | str, mode: int = 0o644) -> Path:
        path = self.path(origin)
        path.write_bytes(os.fsencode(data))
        path.chmod(mode)
        return path

    def link(self, origin: str, target: str) -> None:
        self.path(origin).symlink_to(target)

    def ldconfig(self) -> None:
        (self.root / "etc/ld.so.cache").write_bytes(cache(self.entries))


LIB = "/usr/lib/x86_64-linux-gnu"


@pytest.fixture
def empty_driver(tmp_path: Path) -> InstalledDriver:
    """A driver root without a file."""
    return InstalledDriver(tmp_path / "driver")


@pytest.fixture
def driver(empty_driver: InstalledDriver) -> InstalledDriver:
    """Driver 550.54.15 with two libraries, a 32-bit one and a program behind an alternative."""
    driver = empty_driver
    driver.library(f"{LIB}/libcuda.so.550.54.15", "libcuda.so.1", size=5000)
    driver.library(f"{LIB}/libnvidia-ml.so.550.54.15", "libnvidia-ml.so.1", size=6000)
    driver.library("/usr/lib32/libcuda.so.550.54.15", "libcuda.so.1", bits=32)
    driver.program("/usr/lib/nvidia/current/nvidia-smi")
    driver.link("/etc/alternatives/nvidia-smi", "/usr/lib/nvidia/current/nvidia-smi")
    driver.link("/usr/bin/nvidia-smi", "/etc/alternatives/nvidia-smi")
    driver.ldconfig()
    return driver


@pytest.fixture(scope="session")
def make_driver():
    """The class of a driver root with files that a test adds."""
    return InstalledDriver


@pytest.fixture
def make_elf():
    """The function that makes ELF files."""
    return elf


@pytest.fixture
def make_cache():
    """The function that makes loader's caches."""
    return cache


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where driver volumes are made; not there yet."""
    return tmp_path / "volumes"


@pytest.fixture
def start_create(root: Path, driver: InstalledDriver):
    """Start another process that makes the volume, after running the code ``before``."""

    def start(before: str = "") -> subprocess.Popen:
        arguments = [str(ROOT / ".dev"), MODULE, str(root), str(driver.root)]
        return subprocess.Popen(
            [sys.executable, "-c", CHILD.format(before=before), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def snapshot():
    """A function that tells all that a write would change under a directory."""

    def take(path: Path) -> dict[str, tuple[int, ...]]:
        found = {}
        for top, directories, files in os.walk(path):
            for name in directories + files:
                status = os.lstat(os.path.join(top, name))
                found[os.path.join(top, name)] = (status.st_ino, status.st_mtime_ns, status.st_mode)
        return found

    return take
