# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A manifest that is not what was written: cut, with other bytes, no file at all."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    manifest,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.manifest import (
    Manifest,
)
from ansible_collections.gpufleet.nvidia.tests.faults import tools
from ansible_collections.gpufleet.nvidia.tests.faults.tools import LOCK, VERSION

SEED = 5
DAMAGES = 1500
CUTS = 400


class Volume:
    """A volume whose manifest gets other content."""

    def __init__(self, base: Path, link: str) -> None:
        self.driver = tools.install(base / "driver")
        self.root = base / "volumes"
        self.path = driver_volume.create(self.root, VERSION, self.driver.root).path
        self.file = self.path / manifest.FILE_NAME
        self.bytes = self.file.read_bytes()
        self.right = manifest.read(self.path)
        assert self.right.link == link

    def accepted(self, data: bytes) -> tuple[bool, bool]:
        """Return whether the volume can be given out with this manifest, and whether it is right.

        Only one that says the same of what is in the volume may be: then nothing wrong comes of it.
        """
        self.file.write_bytes(data)
        given_out = driver_volume.unfit(self.root, VERSION) == ()
        right = not driver_volume.compare(self.root, VERSION, self.driver.root).differences
        if given_out:
            assert inside(manifest.read(self.path)) == inside(self.right)
        if right:
            assert manifest.read(self.path) == self.right
            assert given_out
        return given_out, right


def inside(one: Manifest) -> object:
    """Return what a manifest says of the files in its volume, not of where they came from."""
    files = {}
    for record in one.files:
        about = replace(record.candidate, origin="", owner=0, catalogue_name="")
        # A copy has another inode, and less of the mode.
        if record.link is not manifest.Link.HARD:
            about = replace(about, inode=0, mode=about.mode & 0o755)
        files[record.candidate.path] = about
    return one.driver_version, files, sorted(one.symlinks)


@pytest.fixture
def hard(tmpfs) -> Volume:
    return Volume(tmpfs("base"), "hard")


def test_cut_anywhere(hard: Volume) -> None:
    size = len(hard.bytes)
    for length in range(0, size, max(1, size // CUTS)):
        # Without its last line end it is whole.
        assert hard.accepted(hard.bytes[:length]) == ((length == size - 1,) * 2)
    assert hard.accepted(hard.bytes) == (True, True)


def cut_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 60)]


def other_byte(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = rng.randrange(256)


def other_bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def other_digit(data: bytearray, rng: random.Random) -> None:
    places = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
    data[rng.choice(places)] = rng.randrange(48, 58)


def twice(data: bytearray, rng: random.Random) -> None:
    start, at = rng.randrange(len(data)), rng.randrange(len(data))
    data[at:at] = data[start : start + rng.randrange(1, 60)]


def zeroes(data: bytearray, rng: random.Random) -> None:
    """As a file system gives back what was not yet on the disk."""
    start = rng.randrange(len(data))
    data[start:] = bytes(len(data) - start)


@pytest.mark.parametrize("damage", [cut_out, other_byte, other_bit, other_digit, twice, zeroes])
def test_damaged_at_random(
    hard: Volume, damage: Callable[[bytearray, random.Random], None]
) -> None:
    rng = random.Random(SEED)
    refused = 0
    for _dummy in range(DAMAGES // 6):
        data = bytearray(hard.bytes)
        damage(data, rng)
        try:
            refused += hard.accepted(bytes(data)) != (True, True)
        except manifest.NewerVolume:  # the digit of the format
            refused += 1
    assert refused > DAMAGES // 6 // 3
    assert driver_volume.create(hard.root, VERSION, hard.driver.root).path == hard.path
    assert hard.accepted(hard.file.read_bytes()) == (True, True)


def a_directory(file: Path) -> None:
    file.mkdir()


def a_full_directory(file: Path) -> None:
    file.mkdir()
    (file / "x").write_text("x")


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def a_link(file: Path) -> None:
    """Leads to the manifest, which is elsewhere now."""
    file.symlink_to(file.parents[3] / "moved")


def a_huge_file(file: Path) -> None:
    with open(file, "wb") as stream:
        stream.truncate(1 << 40)


def deeply_nested(file: Path) -> None:
    file.write_bytes(b"[" * 1_000_000)


def many_digits(file: Path) -> None:
    file.write_bytes(b'{"format":' + b"2" * 100_000 + b"}")


def nothing(file: Path) -> None:
    """It was removed."""


def utf_16(file: Path) -> None:
    file.write_bytes("{}".encode("utf-16"))


@pytest.mark.parametrize(
    "make",
    [
        a_directory,
        a_full_directory,
        a_pipe,
        a_link,
        a_huge_file,
        deeply_nested,
        many_digits,
        nothing,
        utf_16,
    ],
)
def test_no_manifest_at_all(hard: Volume, make: Callable[[Path], None]) -> None:
    """Whatever has its name: refused with a reason, in no time, and made again."""
    hard.file.rename(hard.root.parent / "moved")
    make(hard.file)
    (reason,) = driver_volume.unfit(hard.root, VERSION)
    assert reason.startswith(manifest.FILE_NAME)
    assert driver_volume.create(hard.root, VERSION, hard.driver.root).changed
    assert hard.file.read_bytes()[:2] == b"{\n"
    assert driver_volume.unfit(hard.root, VERSION) == ()
    assert tools.in_store(hard.root) == [LOCK, VERSION]
