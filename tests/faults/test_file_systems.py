# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Driver volumes on file systems that are full, read-only, or another one than the driver's."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverVolumeError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    volume_store,
)
from ansible_collections.gpufleet.nvidia.tests.faults import tools
from ansible_collections.gpufleet.nvidia.tests.faults.tools import LOCK, VERSION

KIB = 1024
ALL_HARD = driver_volume.Wanted.of(["all"], "hard")
CLONES_BETWEEN_MOUNTS = (5, 18)
"""Linux can since then."""


@pytest.mark.parametrize("there", [False, True], ids=["first", "again"])
@pytest.mark.parametrize(
    ("option", "step", "enough"),
    [("size={}k", 16, 1024), ("nr_inodes={}", 1, 64)],
    ids=["blocks", "inodes"],
)
def test_a_full_file_system(
    tmpfs, mount, tmp_path: Path, there: bool, option: str, step: int, enough: int
) -> None:
    """It is full after one more step each time, until the volume fits in."""
    old = tools.install(tmp_path / "old", b"o", size=20 * KIB)
    new = tools.install(tmp_path / "new", b"n", size=40 * KIB)
    device = tmpfs("full", option.format(enough))
    root = device / "volumes"
    root.mkdir()
    if there:
        driver_volume.create(root, VERSION, old.root)
    before = _tree(root)
    used = _used(device, option)
    refusals = 0
    made = None
    for room in range(used + step, used + enough, step):
        mount("-o", f"remount,{option.format(room)}", device)
        try:
            made = driver_volume.create(root, VERSION, new.root)
            break
        except DriverVolumeError as error:
            refusals += 1
            tools.assert_a_sentence(error)
            assert re.match(r"can't make the driver volume .*: No space left on device", str(error))
        if there:
            assert driver_volume.unfit(root, VERSION) == ()
        assert _tree(root) == before
        assert set(tools.in_store(root)) - {LOCK} == ({VERSION} if there else set())
    assert refusals > 8
    assert made is not None and made.link == "copy"
    assert driver_volume.unfit(root, VERSION) == ()
    assert tools.content(made.path) == tools.reference(tmp_path / "scratch", new.root)
    assert tools.in_store(root) == [LOCK, VERSION]


def _used(device: Path, option: str) -> int:
    status = os.statvfs(device)
    if "inodes" in option:
        return status.f_files - status.f_ffree
    return (status.f_blocks - status.f_bfree) * status.f_frsize // KIB


def _tree(root: Path) -> tools.Tree:
    """Without the store itself and the lock, which a run that failed may leave."""
    store = root / "nvidia_driver"
    left_out = (str(root), str(store), str(store / LOCK))
    return {name: what for name, what in tools.snapshot(root).items() if name not in left_out}


def test_another_file_system_gets_copies(tmpfs, tmp_path: Path) -> None:
    driver = tools.install(tmp_path / "driver")
    root = tmpfs("store") / "volumes"
    before = tools.snapshot(driver.root)
    with pytest.raises(
        DriverVolumeError, match=r"no hard link to .*Invalid cross-device"
    ) as caught:
        driver_volume.create(root, VERSION, driver.root, ALL_HARD)
    tools.assert_a_sentence(caught.value)
    assert tools.in_store(root) == [LOCK]
    made = driver_volume.create(root, VERSION, driver.root)
    assert made.link == "copy"
    assert not driver_volume.create(root, VERSION, driver.root).changed
    assert tools.content(made.path) == tools.reference(tmp_path / "scratch", driver.root)
    # A volume of copies is not what is asked for now; it stays.
    with pytest.raises(DriverVolumeError, match="no hard link to"):
        driver_volume.create(root, VERSION, driver.root, ALL_HARD)
    assert driver_volume.unfit(root, VERSION) == ()
    assert tools.in_store(root) == [LOCK, VERSION]
    assert tools.snapshot(driver.root) == before


@pytest.fixture
def two_subvolumes(image) -> tuple[Path, Path]:
    """Two subvolumes of one Btrfs."""
    top = image(256, "mkfs.btrfs", "--quiet")
    for name in ("driver", "store"):
        subprocess.run(
            ["btrfs", "subvolume", "create", str(top / name)], capture_output=True, check=True
        )
    return top / "driver", top / "store"


@pytest.fixture
def two_mounts(image, mount) -> tuple[Path, Path]:
    """Two directories of one XFS, each mounted once more."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < CLONES_BETWEEN_MOUNTS:
        pytest.skip("this kernel clones no file between two mounts")
    top = image(400, "mkfs.xfs", "-q")
    places = []
    for name in ("driver", "store"):
        (top / name).mkdir()
        places.append(top.parent / name)
        places[-1].mkdir()
        mount("--bind", top / name, places[-1])
    return places[0], places[1]


@pytest.mark.parametrize("kind", ["two_subvolumes", "two_mounts"])
def test_files_are_cloned_where_no_hard_link_is_possible(request, kind: str) -> None:
    """The clone shares its blocks with the driver's file."""
    driver_root, store = request.getfixturevalue(kind)
    driver = tools.install(driver_root / "tree", b"x", size=512 * KIB)
    root = store / "volumes"
    with pytest.raises(DriverVolumeError, match="no hard link to"):
        driver_volume.create(root, VERSION, driver.root, ALL_HARD)
    assert tools.in_store(root) == [LOCK]
    os.sync()
    before = os.statvfs(store)
    made = driver_volume.create(root, VERSION, driver.root)
    assert made.link == "reflink"
    assert driver_volume.unfit(root, VERSION) == ()
    assert not driver_volume.create(root, VERSION, driver.root).changed
    for name in ("libcuda", "libnvidia-ml"):
        assert "shared" in _extents(made.path / f"lib64/{name}.so.{VERSION}")
    os.sync()
    taken = (before.f_bfree - os.statvfs(store).f_bfree) * before.f_frsize
    size = sum(len(what[1]) for what in tools.content(made.path).values() if what[0] == "file")
    assert taken < size / 2
    # What is written to the driver's file later is not seen in the volume.
    origin = driver.path(f"{tools.LIB}/libcuda.so.{VERSION}")
    old = origin.read_bytes()
    with open(origin, "r+b") as file:
        file.write(b"changed")
    assert (made.path / f"lib64/libcuda.so.{VERSION}").read_bytes() == old
    assert driver_volume.unfit(root, VERSION) == ()


def _extents(path: Path) -> str:
    done = subprocess.run(["filefrag", "-v", str(path)], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def read_only(mount, tmp_path: Path):
    """A driver, a store with its volume, and a function that makes the store read-only."""
    driver = tools.install(tmp_path / "driver")
    root = tmp_path / "volumes"
    driver_volume.create(root, VERSION, driver.root)

    def remount() -> None:
        mount("--bind", root, root)
        mount("-o", "remount,bind,ro", root)

    return driver, root, remount


def test_a_read_only_store_gives_the_volume_that_is_right(read_only) -> None:
    driver, root, remount = read_only
    before = tools.snapshot(root)
    remount()
    with pytest.raises(
        DriverVolumeError, match=r"can't remove .*: Read-only file system"
    ) as caught:
        volume_store.remove(root, VERSION)
    tools.assert_a_sentence(caught.value)
    assert driver_volume.unfit(root, VERSION) == ()
    # It is mounted once more, so that a hard link's device is still the driver's.
    assert not driver_volume.create(root, VERSION, driver.root).changed
    assert tools.snapshot(root) == before


def test_a_read_only_store_can_not_be_made_right(read_only) -> None:
    """A volume of the driver before the upgrade stays what it was."""
    driver, root, remount = read_only
    new = driver.root / "new"
    origin = driver.path(f"{tools.LIB}/libcuda.so.{VERSION}")
    new.write_bytes(origin.read_bytes() + b"new")
    new.replace(origin)
    before = tools.snapshot(root)
    remount()
    with pytest.raises(DriverVolumeError, match=r"can't make .*: Read-only file system") as caught:
        driver_volume.create(root, VERSION, driver.root)
    tools.assert_a_sentence(caught.value)
    assert driver_volume.unfit(root, VERSION) == ()
    assert tools.snapshot(root) == before
