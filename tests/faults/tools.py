# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every fault needs: a driver to make volumes from, and looks that miss no change."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    manifest,
    volume_store,
)
from ansible_collections.gpufleet.nvidia.tests.unit.plugins.module_utils.nvidia_docker.host.conftest import (  # noqa: E501
    InstalledDriver,
    elf,
)

LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"
LOCK = f".{VERSION}.lock"
LIBRARIES = ("libcuda", "libnvidia-ml")

Tree = dict[str, tuple[Any, ...]]


def install(root: Path, body: bytes = b"A", size: int = 3000) -> InstalledDriver:
    """Install a driver under ``root``: 64-bit and 32-bit libraries, a program, a text.

    ``body`` is repeated in each file, so that two drivers of one version differ.
    """
    driver = InstalledDriver(root)
    for name in LIBRARIES:
        soname = f"{name}.so.1"
        data = elf(soname) + body * size
        driver.library(f"{LIB}/{name}.so.{VERSION}", soname, data=data)
    narrow = elf("libcuda.so.1", bits=32) + body * size
    driver.library(f"/usr/lib32/libcuda.so.{VERSION}", "libcuda.so.1", bits=32, data=narrow)
    driver.program("/usr/bin/nvidia-smi", elf() + body * size)
    driver.path("/etc/OpenCL/vendors/nvidia.icd").write_bytes(b"libnvidia-opencl.so.1\n")
    driver.ldconfig()
    return driver


def content(tree: Path) -> Tree:
    """Return what a reader finds in a volume: files with their bytes, links, directories."""
    found: Tree = {}
    for top, directories, files in os.walk(tree):
        for name in directories + files:
            path = Path(top, name)
            relative = str(path.relative_to(tree))
            if path.is_symlink():
                found[relative] = ("link", os.readlink(path))
            elif name in directories:
                found[relative] = ("directory",)
            elif relative != manifest.FILE_NAME:
                found[relative] = ("file", path.read_bytes())
    return found


def snapshot(*trees: Path) -> Tree:
    """Return all of these trees that a write would change, but what a hard link alone changes."""
    found: Tree = {}
    for tree in trees:
        for top, directories, files in os.walk(tree):
            for path in (Path(top), *(Path(top, name) for name in directories + files)):
                status = os.lstat(path)
                what: Any = None
                if stat.S_ISLNK(status.st_mode):
                    what = os.readlink(path)
                elif stat.S_ISREG(status.st_mode):
                    what = path.read_bytes()
                found[str(path)] = (
                    status.st_ino,
                    status.st_mode,
                    status.st_uid,
                    status.st_gid,
                    status.st_mtime_ns,
                    what,
                )
    return found


def in_store(root: Path) -> list[str]:
    """Return every name in the store, the hidden ones too."""
    store = root / "nvidia_driver"
    return sorted(os.listdir(store)) if store.exists() else []


def reference(scratch: Path, driver_root: Path) -> Tree:
    """Return the content of a volume of this driver that nothing disturbed."""
    return content(driver_volume.create(scratch, VERSION, driver_root).path)


def given_out(root: Path, rightful: Tree, *others: Tree) -> tuple[str, ...]:
    """Return the versions that containers would get; AssertionError for one that is not whole."""
    fit = []
    for version in volume_store.list_volumes(root):
        if driver_volume.unfit(root, version) == ():
            assert content(volume_store.mount_point(root, version)) in (rightful, *others)
            fit.append(version)
    return tuple(fit)


def assert_a_sentence(error: BaseException) -> None:
    """A user reads this: one line, not empty, without a traceback or a bare class name."""
    text = str(error)
    assert text == text.strip() != ""
    assert "\n" not in text
    assert "Traceback" not in text
    assert " " in text
