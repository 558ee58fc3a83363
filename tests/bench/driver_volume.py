# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Driver volumes: made, found right, verified, and asked for at the volume maker."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    BINARIES,
    LIBRARIES,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    volume_store,
)
from ansible_collections.gpufleet.nvidia.tests.bench.measure import Figure, Work, figure
from ansible_collections.gpufleet.nvidia.tests.unit.plugins.module_utils.nvidia_docker.host.conftest import (  # noqa: E501
    InstalledDriver,
    elf,
)

VERSION = "550.54.15"
MODULE_UTILS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"
PLACES = ((64, "/usr/lib/x86_64-linux-gnu"), (32, "/usr/lib/i386-linux-gnu"))
HEADER_BYTES = 64
REQUEST = b'{"action": "make", "version": "550.54.15"}\n'
MAKER = """
import sys
sys.path.insert(0, {module_utils!r})
from functools import partial
from pathlib import Path
from nvidia_docker.host import volume_maker
from nvidia_docker.plugin import helpers
# The only thing that it can't be told: a driver root that is not the host's.
volume_maker.LocalVolumeMaker = partial(
    volume_maker.LocalVolumeMaker, driver_root=Path({driver_root!r})
)
sys.exit(helpers.make_volume(sys.argv[1:]))
"""


class Volume:
    """A driver of so many files under ``base``, and its volume."""

    def __init__(self, base: Path, count: int) -> None:
        self.driver = InstalledDriver(base / "driver")
        for origin, data, soname in itertools.islice(_files(), count):
            if soname is None:
                self.driver.program(origin, data)
            else:
                self.driver.library(origin, soname, 32 if "i386" in origin else 64, data)
        self.driver.ldconfig()
        self.root = base / "volumes"
        self.made = self.create()
        self.records = self.origins()
        assert len(self.records) == count, f"{len(self.records)} files, not {count}"

    def create(self) -> driver_volume.Made:
        return driver_volume.create(self.root, VERSION, self.driver.root)

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def unfit(self) -> None:
        assert driver_volume.unfit(self.root, VERSION) == ()

    def compare(self) -> None:
        assert not driver_volume.compare(self.root, VERSION, self.driver.root).differences

    def origins(self) -> list[tuple[str, str]]:
        """Return each file in the volume and the driver's that it is."""
        pairs = []
        for name in self.made.files:
            path = self.made.path / name
            if not path.is_symlink():
                pairs.append((str(path), str(self._origin(path))))
        return pairs

    def _origin(self, path: Path) -> Path:
        where = {"lib64": PLACES[0][1], "lib": PLACES[1][1], "bin": "/usr/bin"}
        return self.driver.path(f"{where[path.parent.name]}/{path.name}")

    def look(self) -> None:
        """Do the least that a check needs: lstat of each file and of its origin."""
        for path, origin in self.records:
            os.lstat(path)
            os.lstat(origin)

    def as_v1(self) -> None:
        """Do what v1.0.1 did: for each file read a header, link it, and link its other name."""
        os.makedirs(self.root)
        place = self.root / "nvidia_driver" / VERSION
        for name in ("lib64", "lib", "bin"):
            os.makedirs(place / name)
        for path, origin in self.records:
            with open(origin, "rb", buffering=0) as file:
                file.read(HEADER_BYTES)
            os.link(origin, path)
            os.symlink(os.path.basename(path), f"{path}.link")


def _files() -> Iterator[tuple[str, bytes, str | None]]:
    """Yield origin, content and SONAME of as many driver files as one asks for."""
    for binary in BINARIES:
        yield f"/usr/bin/{binary.name}", elf(), None
    for bits, place in PLACES:
        # libnvidia-ml comes first: without it there is no driver.
        for library in LIBRARIES:
            needed = library.needs_one_of[:1]
            soname = f"{library.name}.so.1"
            data = elf(soname, needed=tuple(f"{n}.so.0" for n in needed), bits=bits)
            if not library.modern_tls_only and not library.beside:
                yield f"{place}/{library.name}.so.{VERSION}", data, soname


@contextlib.contextmanager
def _no_fsync() -> Iterator[None]:
    """Let this process wait for no disk: the kernel does all else as ever."""
    fsync = os.fsync
    os.fsync = lambda descriptor: None
    try:
        yield
    finally:
        os.fsync = fsync


def _opened(volume: Volume) -> list[str]:
    """Return which files of the driver and the store a second run opens."""
    opened: list[str] = []
    listening = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        # A number is a file that was opened before.
        if event == "open" and listening[0] and isinstance(arguments[0], (str, bytes)):
            opened.append(os.fsdecode(arguments[0]))

    sys.addaudithook(hook)
    volume.create()
    listening[0] = False
    ours = str(volume.driver.root.parent)
    return [os.path.relpath(path, ours) for path in opened if path.startswith(ours)]


def figures(directory: Path) -> Iterator[Figure]:
    """Yield the figures of a driver of 50 files, then of one of 100."""
    volume = Volume(directory / "50", 50)
    as_v1 = Work("v1's work (50 x open, read, link, symlink)", volume.as_v1, volume.remove)
    yield figure(
        Work("make a volume of 50 files, all on disk (fsync)", volume.create, volume.remove),
        as_v1,
        "<= 150 ms; v1.0.1 itself took 8-13 ms, without fsync",
    )
    with _no_fsync():
        yield figure(
            Work("make a volume of 50 files, without fsync", volume.create, volume.remove),
            as_v1,
            "<= 5 x v1's work",
        )
    volume.remove()
    volume.create()
    opened = _opened(volume)
    yield figure(
        Work("second run, nothing to change", volume.create),
        Work("lstat of each file and its origin", volume.look),
        "no driver file is opened",
        f"opened files: {len(opened)} ({', '.join(opened)})",
    )
    yield from _of_100_files(directory)
    yield from _program(volume)
    volume_store.remove(volume.root, VERSION)


def _of_100_files(directory: Path) -> Iterator[Figure]:
    volume = Volume(directory / "100", 100)
    look = Work("lstat of each file and its origin", volume.look)
    yield figure(Work("verify 100 files against the manifest (unfit)", volume.unfit), look)
    yield figure(Work("verify 100 files against the driver (compare)", volume.compare), look)


def _program(volume: Volume) -> Iterator[Figure]:
    start = MAKER.format(module_utils=str(MODULE_UTILS), driver_root=str(volume.driver.root))
    python = [sys.executable, "-IS", "-c"]

    def ask() -> None:
        done = subprocess.run(
            [*python, start, "-d", str(volume.root)], input=REQUEST, capture_output=True, check=True
        )
        assert b'"error": null' in done.stdout, done.stdout

    def start_only() -> None:
        subprocess.run([*python, "pass"], input=b"", capture_output=True, check=True)

    yield figure(
        Work("volume maker: start to answer, for a volume that is right", ask),
        Work("python3 -IS -c pass", start_only),
    )
