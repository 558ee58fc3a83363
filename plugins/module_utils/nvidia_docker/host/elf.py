# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an ELF file says of itself: machine, SONAME, needed libraries, ABI note.

Reads the few places that matter with pread; a hostile file costs at most some bounded reads.
Layout after elf(5).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import DriverFilesError

EM_386, EM_X86_64, EM_AARCH64 = 3, 62, 183

_PT_LOAD, _PT_DYNAMIC, _PT_NOTE = 1, 2, 4
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_SONAME = 0, 1, 5, 14
_NT_GNU_ABI_TAG = 1

_IDENT_SIZE = 16
_HEADERS = {32: struct.Struct("<HHIIIIIHHH"), 64: struct.Struct("<HHIQQQIHHH")}
"""After e_ident: type, machine, version, entry, phoff, shoff, flags, ehsize, phentsize, phnum."""
_DYNAMIC = {32: struct.Struct("<iI"), 64: struct.Struct("<qQ")}
_MOST_PROGRAM_HEADERS = 512
_LARGEST_DYNAMIC = 64 * 1024
_LARGEST_NOTE = 64 * 1024
_LONGEST_NAME = 1024


@dataclass(frozen=True)
class Elf:
    """The facts of one ELF file."""

    machine: int
    """e_machine, ``EM_X86_64`` …"""
    bits: int
    """32 or 64."""
    soname: str | None
    needed: tuple[str, ...]
    """DT_NEEDED in the file's order."""
    kernel_abi: tuple[int, int, int] | None
    """Oldest Linux it is made for, from ``.note.ABI-tag``."""


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def read(path: str) -> Elf:
    """Return the facts of the ELF file ``path`` (a symbolic link is not followed).

    Raises DriverFilesError: no regular file, not ELF, damaged, or unreadable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise DriverFilesError(f"can't open {path}: {os.strerror(error.errno or 0)}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DriverFilesError(f"{path} is not a regular file")
        return _read(descriptor)
    except OSError as error:
        raise DriverFilesError(f"can't read {path}: {os.strerror(error.errno or 0)}") from error
    except ValueError as error:
        raise DriverFilesError(f"{path} is no usable ELF file: {error}") from error
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> Elf:
    ident = _exactly(descriptor, 0, _IDENT_SIZE)
    if not ident.startswith(b"\x7fELF"):
        raise ValueError("it has another magic number")
    bits = {1: 32, 2: 64}.get(ident[4])
    if bits is None or ident[5] != 1:
        raise ValueError("it is neither 32 nor 64 bit, or not little-endian")
    header = _HEADERS[bits]
    fields = header.unpack(_exactly(descriptor, _IDENT_SIZE, header.size))
    segments = _segments(descriptor, bits, offset=fields[4], entry_size=fields[8], count=fields[9])
    soname, needed = _dynamic(descriptor, bits, segments)
    return Elf(fields[1], bits, soname, needed, _kernel_abi(descriptor, segments))


def _segments(
    descriptor: int, bits: int, offset: int, entry_size: int, count: int
) -> tuple[_Segment, ...]:
    if entry_size != (32 if bits == 32 else 56) or count > _MOST_PROGRAM_HEADERS:
        raise ValueError(f"{count} program headers of {entry_size} bytes")
    data = _exactly(descriptor, offset, entry_size * count)
    segments = []
    for start in range(0, len(data), entry_size):
        if bits == 32:
            kind, at, address, _physical, size = struct.unpack_from("<IIIII", data, start)
        else:
            kind, _flags, at, address, _physical, size = struct.unpack_from("<IIQQQQ", data, start)
        segments.append(_Segment(kind, at, address, size))
    return tuple(segments)


def _dynamic(
    descriptor: int, bits: int, segments: tuple[_Segment, ...]
) -> tuple[str | None, tuple[str, ...]]:
    """Return SONAME and the needed libraries; neither if the file is linked statically."""
    segment = next((s for s in segments if s.kind == _PT_DYNAMIC), None)
    if segment is None:
        return None, ()
    entry = _DYNAMIC[bits]
    size = min(segment.size, _LARGEST_DYNAMIC) // entry.size * entry.size
    soname: int | None = None
    table: int | None = None
    needed: list[int] = []
    for tag, value in entry.iter_unpack(_exactly(descriptor, segment.offset, size)):
        if tag == _DT_NULL:
            break
        if tag == _DT_NEEDED:
            needed.append(value)
        elif tag == _DT_SONAME:
            soname = value
        elif tag == _DT_STRTAB:
            table = value
    if soname is None and not needed:
        return None, ()
    if table is None:
        raise ValueError("its dynamic section has no string table")
    strings = _file_offset(segments, table)
    return (
        None if soname is None else _string(descriptor, strings + soname),
        tuple(_string(descriptor, strings + offset) for offset in needed),
    )


def _file_offset(segments: tuple[_Segment, ...], address: int) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size:
            return segment.offset + address - segment.address
    raise ValueError(f"address {address:#x} is in none of its segments")


def _kernel_abi(descriptor: int, segments: tuple[_Segment, ...]) -> tuple[int, int, int] | None:
    for segment in segments:
        if segment.kind != _PT_NOTE:
            continue
        data = _exactly(descriptor, segment.offset, min(segment.size, _LARGEST_NOTE))
        for name, kind, content in _notes(data):
            if name == b"GNU\0" and kind == _NT_GNU_ABI_TAG and len(content) >= 16:
                _system, major, minor, sub_minor = struct.unpack_from("<IIII", content)
                return major, minor, sub_minor
    return None


def _notes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    offset = 0
    while offset + 12 <= len(data):
        name_size, size, kind = struct.unpack_from("<III", data, offset)
        content = offset + 12 + _aligned(name_size)
        yield data[offset + 12 : offset + 12 + name_size], kind, data[content : content + size]
        offset = content + _aligned(size)


def _aligned(size: int) -> int:
    return (size + 3) // 4 * 4


def _string(descriptor: int, offset: int) -> str:
    text, end, _rest = _read_at(descriptor, offset, _LONGEST_NAME).partition(b"\0")
    if not end:
        raise ValueError(f"no name at {offset:#x}")
    return os.fsdecode(text)


def _exactly(descriptor: int, offset: int, size: int) -> bytes:
    data = _read_at(descriptor, offset, size)
    if len(data) != size:
        raise ValueError("it is cut off")
    return data


def _read_at(descriptor: int, offset: int, size: int) -> bytes:
    if not 0 <= offset < 1 << 62:
        raise ValueError(f"offset {offset:#x} is outside of it")
    return os.pread(descriptor, size, offset)
