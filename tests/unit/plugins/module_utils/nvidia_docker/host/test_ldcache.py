# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loader's cache: real ones, ours, and damaged ones."""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverFilesError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import ldcache
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.ldcache import (
    Abi,
    CacheEntry,
)

ENTRIES = [
    ("libcuda.so.1", "/usr/lib/libcuda.so.1", "x86-64"),
    ("libcuda.so.1", "/usr/lib32/libcuda.so.1", "i386"),
    ("libcuda.so.1", "/usr/lib/aarch64/libcuda.so.1", "aarch64"),
    ("libcuda.so.1", "/usr/libx32/libcuda.so.1", "x32"),
    ("libc.so.4", "/usr/lib/libc.so.4", "libc4"),
    ("libodd.so", "relative/libodd.so", "x86-64"),
]
READ = (
    CacheEntry("libcuda.so.1", "/usr/lib/libcuda.so.1", Abi.X86_64),
    CacheEntry("libcuda.so.1", "/usr/lib32/libcuda.so.1", Abi.I386),
    CacheEntry("libcuda.so.1", "/usr/lib/aarch64/libcuda.so.1", Abi.AARCH64),
)


@pytest.mark.parametrize("old_part", [False, True])
def test_known_abis_are_read_in_order(tmp_path, make_cache, old_part) -> None:
    path = tmp_path / "ld.so.cache"
    path.write_bytes(make_cache(ENTRIES, old_part))
    assert ldcache.read(path) == READ


@pytest.mark.parametrize("form", ["new", "compat"])
def test_a_cache_of_the_real_ldconfig(tmp_path, make_elf, form) -> None:
    """What glibc's own program writes for our libraries."""
    program = shutil.which("ldconfig", path="/usr/sbin:/sbin")
    if program is None:
        pytest.skip("no ldconfig here")
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "libcuda.so.550.54.15").write_bytes(make_elf("libcuda.so.1", size=8192))
    (folder / "libnvidia-glcore.so.550.54.15").write_bytes(
        make_elf("libnvidia-glcore.so.550.54.15", size=8192)
    )
    (tmp_path / "conf").write_text(f"{folder}\n")
    command = [program, "-C", str(tmp_path / "cache"), "-f", str(tmp_path / "conf"), "-c", form]
    subprocess.run(command, check=True, capture_output=True)
    found = {
        entry for entry in ldcache.read(tmp_path / "cache") if entry.path.startswith(str(folder))
    }
    assert found == {
        CacheEntry("libcuda.so.1", f"{folder}/libcuda.so.1", Abi.X86_64),
        CacheEntry(
            "libnvidia-glcore.so.550.54.15", f"{folder}/libnvidia-glcore.so.550.54.15", Abi.X86_64
        ),
    }


def good(make_cache) -> bytes:
    return make_cache(ENTRIES)


DAMAGED = [
    ("empty", lambda data: b"", "no part of glibc's format"),
    ("garbage", lambda data: b"x" * 4096, "no part of glibc's format"),
    ("old format only", lambda data: struct.pack("<12sI", b"ld.so-1.7.0", 0), "no part of glibc's"),
    (
        "old part larger",
        lambda data: struct.pack("<12sI", b"ld.so-1.7.0", 1 << 31) + data,
        "no part",
    ),
    ("header cut off", lambda data: data[:30], "it is cut off"),
    ("table cut off", lambda data: data[:100], "6 entries don't fit"),
    (
        "many entries",
        lambda data: data[:20] + b"\xff" * 4 + data[24:],
        "4294967295 entries don't fit",
    ),
    ("name outside", lambda data: data[:52] + b"\xff" * 4 + data[56:], "entry 0 points outside"),
    ("string without end", lambda data: data[:-1] + b"x", "entry 5 points outside"),
]


@pytest.mark.parametrize(("damage", "says"), [d[1:] for d in DAMAGED], ids=[d[0] for d in DAMAGED])
def test_damaged_caches_are_one_sentence(tmp_path, make_cache, damage, says) -> None:
    path = tmp_path / "ld.so.cache"
    path.write_bytes(damage(good(make_cache)))
    with pytest.raises(
        DriverFilesError, match=re.escape(f"can't read the loader's cache {path}: ")
    ) as info:
        ldcache.read(path)
    assert says in str(info.value)
    assert "run ldconfig" in str(info.value)


def test_a_missing_cache_is_one_sentence(tmp_path) -> None:
    with pytest.raises(DriverFilesError, match="No such file or directory; run ldconfig"):
        ldcache.read(tmp_path / "none")


def test_no_bytes_make_it_fail_otherwise(tmp_path, make_cache) -> None:
    """Flipped bytes are read as something or are a sentence, never a crash."""
    choose = random.Random(2)
    path: Path = tmp_path / "ld.so.cache"
    for _round in range(300):
        data = bytearray(good(make_cache))
        for _flip in range(choose.randrange(1, 9)):
            data[choose.randrange(len(data))] = choose.randrange(256)
        path.write_bytes(bytes(data[: choose.randrange(len(data) + 1)]))
        try:
            ldcache.read(path)
        except DriverFilesError:
            continue
