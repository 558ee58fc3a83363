# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""File systems of every kind for the tests, in a mount namespace that ends with them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".dev"))

_CLONE_NEWNS = 0x00020000


def _mount(*arguments: object) -> None:
    done = subprocess.run(
        ["mount", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this machine can't mount: {done.stderr.strip()}")


@pytest.fixture(scope="session")
def namespace() -> None:
    """Nothing that a test mounts is seen outside, or outlives the tests."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
        pytest.skip(f"no mount namespace can be made: {os.strerror(ctypes.get_errno())}")
    _mount("--make-rprivate", "/")


@pytest.fixture
def mount(namespace: None):
    """A function that calls mount(8) with these arguments."""
    return _mount


@pytest.fixture
def tmpfs(mount, tmp_path: Path):
    """A function that makes a tmpfs with these options."""

    def make(name: str, options: str = "size=64m") -> Path:
        path = tmp_path / name
        path.mkdir()
        mount("-t", "tmpfs", "-o", f"{options},mode=0755", "tmpfs", path)
        return path

    return make


@pytest.fixture
def image(mount, tmp_path: Path):
    """A function that makes a file system in a sparse file with ``mkfs`` and mounts it."""

    def make(megabytes: int, *mkfs: str) -> Path:
        if shutil.which(mkfs[0]) is None:
            pytest.skip(f"this machine has no {mkfs[0]}")
        file, path = tmp_path / "image", tmp_path / "mounted"
        with open(file, "wb") as stream:
            stream.truncate(megabytes << 20)
        path.mkdir()
        subprocess.run([*mkfs, str(file)], capture_output=True, check=True)
        mount("-o", "loop", file, path)
        return path

    return make
