# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dynamic loader's cache, /etc/ld.so.cache: which shared libraries this machine has.

Layout after glibc's ``sysdeps/generic/dl-cache.h``. Offsets in the file are checked, never trusted.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..errors import DriverFilesError

CACHE = "/etc/ld.so.cache"

_OLD_MAGIC = b"ld.so-1.7.0\0"
_OLD_HEADER = struct.Struct("<12sI")
_OLD_ENTRY_SIZE = 12
_NEW_MAGIC = b"glibc-ld.so.cache1.1"
_NEW_HEADER = struct.Struct("<20sII20x")
_NEW_ENTRY = struct.Struct("<iIIIQ")
_ALIGNMENT = 8
_LARGEST = 64 * 1024 * 1024
_LONGEST_NAME = 4096

_TYPE_MASK, _ELF_TYPES = 0x00FF, (1, 2, 3)
"""Flags of an ELF library: any, libc5, libc6."""
_ABI_MASK = 0xFF00


class Abi(Enum):
    """For which machine a library is made, as ``ldconfig -p`` calls it."""

    X86_64 = "x86-64"
    I386 = "i386"
    AARCH64 = "aarch64"


_ABIS = {0x0000: Abi.I386, 0x0300: Abi.X86_64, 0x0A00: Abi.AARCH64}


@dataclass(frozen=True)
class CacheEntry:
    """One line of ``ldconfig -p``."""

    name: str
    """What the loader looks for, mostly a SONAME."""
    path: str
    abi: Abi


def read(path: Path, is_wanted: Callable[[str], bool] = bool) -> tuple[CacheEntry, ...]:
    """Return the entries of a cache file, in the loader's order; entries of other ABIs are skipped.

    A host has thousands: of those whose name is not wanted no more than the name is read.
    Understands both formats that glibc >= 2.2 writes (with and without the old part before it).
    Raises DriverFilesError if the file is missing, damaged or of the old format only.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise DriverFilesError(
            f"can't read the loader's cache {path}: {os.strerror(error.errno or 0)}; run ldconfig"
        ) from error
    if len(data) > _LARGEST:
        raise DriverFilesError(
            f"can't read the loader's cache {path}: larger than {_LARGEST} bytes"
        )
    try:
        return _parse(data, is_wanted)
    except ValueError as error:
        raise DriverFilesError(
            f"can't read the loader's cache {path}: {error}; run ldconfig"
        ) from error


def _parse(data: bytes, is_wanted: Callable[[str], bool]) -> tuple[CacheEntry, ...]:
    start = _start_of_new(data)
    if len(data) < start + _NEW_HEADER.size:
        raise ValueError("it is cut off")
    _magic, count, _length = _NEW_HEADER.unpack_from(data, start)
    table = start + _NEW_HEADER.size
    end = table + count * _NEW_ENTRY.size
    if end > len(data):
        raise ValueError(f"it is cut off, {count} entries don't fit in it")
    entries = []
    for number, (flags, key, value, _os, _hwcap) in enumerate(
        _NEW_ENTRY.iter_unpack(data[table:end])
    ):
        abi = _ABIS.get(flags & _ABI_MASK)
        if abi is None or flags & _TYPE_MASK not in _ELF_TYPES:
            continue
        name = _string(data, start + key, number)
        if is_wanted(name):
            path = _string(data, start + value, number)
            if path.startswith("/"):
                entries.append(CacheEntry(name, path, abi))
    return tuple(entries)


def _start_of_new(data: bytes) -> int:
    start = 0
    if data.startswith(_OLD_MAGIC) and len(data) >= _OLD_HEADER.size:
        _magic, count = _OLD_HEADER.unpack_from(data)
        end = _OLD_HEADER.size + count * _OLD_ENTRY_SIZE
        start = (end + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
    if not data.startswith(_NEW_MAGIC, start):
        raise ValueError(f"it has no part of glibc's format {_NEW_MAGIC.decode()}")
    return start


def _string(data: bytes, offset: int, number: int) -> str:
    end = data.find(b"\0", offset, offset + _LONGEST_NAME)
    if end < 0:
        raise ValueError(f"entry {number} points outside of it")
    return os.fsdecode(data[offset:end])
