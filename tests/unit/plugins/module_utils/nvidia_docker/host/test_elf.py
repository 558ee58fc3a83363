# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ELF files say of themselves: real ones, ours, and hostile ones."""

from __future__ import annotations

import os
import random
import struct
import sys

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverFilesError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import elf

ROWS = [
    ({}, elf.Elf(elf.EM_X86_64, 64, None, (), None)),
    ({"soname": "libcuda.so.1"}, elf.Elf(elf.EM_X86_64, 64, "libcuda.so.1", (), None)),
    (
        {"soname": "libGL.so.1", "needed": ("libGLX.so.0", "libGLdispatch.so.0"), "bits": 32},
        elf.Elf(elf.EM_386, 32, "libGL.so.1", ("libGLX.so.0", "libGLdispatch.so.0"), None),
    ),
    (
        {"soname": "libnvidia-tls.so.375.26", "kernel_abi": (2, 3, 99)},
        elf.Elf(elf.EM_X86_64, 64, "libnvidia-tls.so.375.26", (), (2, 3, 99)),
    ),
    ({"machine": elf.EM_AARCH64}, elf.Elf(elf.EM_AARCH64, 64, None, (), None)),
]


@pytest.mark.parametrize(("written", "read"), ROWS)
def test_facts(tmp_path, make_elf, written, read) -> None:
    path = tmp_path / "file"
    path.write_bytes(make_elf(**written))
    assert elf.read(str(path)) == read


def test_a_real_program() -> None:
    """The interpreter that runs this test needs the C library and Linux 2.6 or later."""
    facts = elf.read(os.path.realpath(sys.executable))
    assert facts.bits == 64
    assert any(name.startswith("libc.so") for name in facts.needed)
    assert facts.kernel_abi is None or facts.kernel_abi >= (2, 6, 0)


def put(data: bytes, offset: int, form: str, value: int) -> bytes:
    return data[:offset] + struct.pack(form, value) + data[offset + struct.calcsize(form) :]


# Offsets in a 64-bit file: phoff 32, phnum 56; PT_LOAD's address 80; PT_DYNAMIC's offset 128,
# size 152; the dynamic section is at 176: DT_SONAME's value 184, DT_STRTAB's 200.
HOSTILE = [
    ("a shell script", lambda data: b"#!/bin/sh\nexec nvidia-smi\n", "another magic number"),
    ("empty", lambda data: b"", "cut off"),
    ("header cut off", lambda data: data[:40], "cut off"),
    ("strings cut off", lambda data: data[:-5], "no name at"),
    ("big-endian", lambda data: put(data, 5, "B", 2), "little-endian"),
    ("class 7", lambda data: put(data, 4, "B", 7), "neither 32 nor 64 bit"),
    ("program headers outside", lambda data: put(data, 32, "<Q", 1 << 63), "outside"),
    ("program headers beyond the end", lambda data: put(data, 32, "<Q", 1 << 40), "cut off"),
    ("too many program headers", lambda data: put(data, 56, "<H", 0xFFFF), "65535 program headers"),
    ("dynamic section outside", lambda data: put(data, 128, "<Q", 1 << 40), "cut off"),
    ("dynamic section huge", lambda data: put(data, 152, "<Q", 1 << 60), "cut off"),
    ("SONAME outside", lambda data: put(data, 184, "<Q", 1 << 50), "no name at"),
    ("SONAME before the file", lambda data: put(data, 184, "<Q", (1 << 64) - 1), "outside"),
    (
        "string table in no segment",
        lambda data: put(data, 80, "<Q", 1 << 40),
        "none of its segments",
    ),
]


@pytest.mark.parametrize(("damage", "says"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_hostile_files_are_one_sentence(tmp_path, make_elf, damage, says) -> None:
    path = tmp_path / "file"
    path.write_bytes(damage(make_elf("libcuda.so.1")))
    with pytest.raises(DriverFilesError, match=f"{path} is no usable ELF file: ") as info:
        elf.read(str(path))
    assert says in str(info.value)


def test_links_and_devices_are_not_opened(tmp_path, make_elf) -> None:
    (tmp_path / "file").write_bytes(make_elf())
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DriverFilesError, match="can't open"):
        elf.read(str(tmp_path / "link"))
    with pytest.raises(DriverFilesError, match="is not a regular file"):
        elf.read(str(tmp_path / "fifo"))


def test_no_bytes_make_it_fail_otherwise(tmp_path, make_elf) -> None:
    """Flipped bytes are read as something or are a sentence, never a crash."""
    choose = random.Random(3)
    path = tmp_path / "file"
    good = make_elf("libcuda.so.1", needed=("libc.so.6",), kernel_abi=(2, 3, 99))
    for _round in range(500):
        data = bytearray(good)
        for _flip in range(choose.randrange(1, 9)):
            data[choose.randrange(len(data))] = choose.randrange(256)
        path.write_bytes(bytes(data[: choose.randrange(len(data) + 1)]))
        try:
            elf.read(str(path))
        except DriverFilesError:
            continue
