# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a driver volume is not what it has to be."""

from __future__ import annotations

import os
import shutil

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverFilesError,
    UnknownVolume,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
)

LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"
LIBRARY = f"libcuda.so.{VERSION}"
LIBCUDA = f"lib64/{LIBRARY}"


def replace_like_a_packager(driver) -> None:
    """Another file under the old name."""
    new = driver.root / "new"
    shutil.copy2(driver.path(f"{LIB}/{LIBRARY}"), new)
    os.replace(new, driver.path(f"{LIB}/{LIBRARY}"))


DAMAGES = {
    "no manifest": (
        lambda path, driver: (path / "manifest.json").unlink(),
        "manifest.json can't be read: No such file",
    ),
    "manifest cut off": (
        lambda path, driver: os.truncate(path / "manifest.json", 100),
        "manifest.json is not one of format 2",
    ),
    "manifest of an older format": (
        lambda path, driver: (path / "manifest.json").write_text('{"format": 1}'),
        "manifest.json is not one of format 2",
    ),
    "manifest is a list": (
        lambda path, driver: (path / "manifest.json").write_text("[]"),
        "manifest.json is not one of format 2",
    ),
    "manifest nested deeply": (
        lambda path, driver: (path / "manifest.json").write_text("[" * 100000),
        "manifest.json is not one of format 2",
    ),
    "manifest with a path out of the volume": (
        lambda path, driver: (path / "manifest.json").write_text(
            (path / "manifest.json").read_text().replace("lib64/libcuda.so.1", "lib64/../../x")
        ),
        "manifest.json is not one of format 2",
    ),
    "manifest is a link": (
        lambda path, driver: [
            (path / "manifest.json").rename(path / "lib/m"),
            (path / "manifest.json").symlink_to("lib/m"),
        ],
        "manifest.json can't be read",
    ),
    "library missing": (lambda path, driver: (path / LIBCUDA).unlink(), f"{LIBCUDA} is missing"),
    "library is a directory": (
        lambda path, driver: [(path / LIBCUDA).unlink(), (path / LIBCUDA).mkdir()],
        f"{LIBCUDA} is missing",
    ),
    "library is another file": (
        lambda path, driver: [(path / LIBCUDA).unlink(), (path / LIBCUDA).write_bytes(b"x")],
        f"{LIBCUDA} was changed",
    ),
    "link missing": (
        lambda path, driver: (path / "lib64/libcuda.so.1").unlink(),
        f"lib64/libcuda.so.1 does not lead to {LIBRARY}",
    ),
    "link leads elsewhere": (
        lambda path, driver: [
            (path / "lib64/libcuda.so.1").unlink(),
            (path / "lib64/libcuda.so.1").symlink_to("/etc/passwd"),
        ],
        f"lib64/libcuda.so.1 does not lead to {LIBRARY}",
    ),
    "stray file": (
        lambda path, driver: (path / "lib64/mine").write_text(""),
        "lib64/mine does not belong there",
    ),
    "stray directory": (
        lambda path, driver: (path / ("x" * 255)).mkdir(),
        f"{'x' * 255} does not belong there",
    ),
    "directory missing": (
        lambda path, driver: shutil.rmtree(path / "lib64"),
        "lib64 is no directory",
    ),
    "directory is a link": (
        lambda path, driver: [
            (path / "lib64").rename(path / "l"),
            (path / "lib64").symlink_to("l"),
        ],
        "lib64 is no directory",
    ),
    "writable by others": (
        lambda path, driver: (path / "lib64").chmod(0o777),
        "lib64 has mode 0777",
    ),
    "driver file replaced by the packager": (
        lambda path, driver: replace_like_a_packager(driver),
        f"{LIB}/{LIBRARY} is another file than before",
    ),
    "driver file added": (
        lambda path, driver: [
            driver.library(f"{LIB}/libnvcuvid.so.{VERSION}", "libnvcuvid.so.1"),
            driver.ldconfig(),
        ],
        f"{LIB}/libnvcuvid.so.{VERSION} is new on this host",
    ),
    "driver file's mode changed": (
        lambda path, driver: driver.path(f"{LIB}/{LIBRARY}").chmod(0o600),
        f"{LIB}/{LIBRARY} is another file than before",
    ),
    "configuration file added": (
        lambda path, driver: driver.file("/etc/glvnd/egl_vendor.d/10_nvidia.json", "{}"),
        "/etc/glvnd/egl_vendor.d/10_nvidia.json is new on this host",
    ),
    "stray directory of a configuration file": (
        lambda path, driver: (path / "share/glvnd").mkdir(),
        "share/glvnd does not belong there",
    ),
    "driver file gone": (
        lambda path, driver: driver.path(f"/usr/lib32/{LIBRARY}").unlink(),
        f"/usr/lib32/{LIBRARY} is no longer there",
    ),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_not_right_is_made_again(root, driver, snapshot, damage, says) -> None:
    """Told first by compare, which writes nothing; then the volume is what a new one would be."""
    path = driver_volume.create(root, VERSION, driver.root).path
    damage(path, driver)
    before = snapshot(root)
    comparison = driver_volume.compare(root, VERSION, driver.root)
    assert says in "\n".join(comparison.differences)
    assert comparison.link is None
    assert snapshot(root) == before
    made = driver_volume.create(root, VERSION, driver.root)
    assert made.changed
    assert made.files == comparison.files
    assert driver_volume.compare(root, VERSION, driver.root).before == comparison.after
    assert not driver_volume.create(root, VERSION, driver.root).changed
    assert sorted(os.listdir(path)) == ["bin", "lib", "lib64", "manifest.json", "share"]
    assert sorted(os.listdir(root / "nvidia_driver")) == [f".{VERSION}.lock", VERSION]


def test_a_directory_of_a_configuration_file_has_to_be_right(root, driver) -> None:
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.json", "{}")
    path = driver_volume.create(root, VERSION, driver.root).path
    assert (path / "share/vulkan/icd.d/nvidia_icd.json").read_text() == "{}"
    assert not driver_volume.create(root, VERSION, driver.root).changed
    (path / "share/vulkan").chmod(0o777)
    comparison = driver_volume.compare(root, VERSION, driver.root)
    assert comparison.differences == (f"{path}/share/vulkan has mode 0777",)
    assert driver_volume.create(root, VERSION, driver.root).changed
    assert (path / "share/vulkan").stat().st_mode & 0o7777 == 0o755


def test_a_changed_owner_is_seen(root, driver) -> None:
    """By root's eyes: the file would be refused now, so it has to be looked at again."""
    driver_volume.create(root, VERSION, driver.root)
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(driver.path(f"{LIB}/{LIBRARY}"), 1000, -1)
    with pytest.raises(DriverFilesError, match="chown root"):
        driver_volume.compare(root, VERSION, driver.root)


def overwrite(path) -> None:
    """Other content, in place, of the same length."""
    with open(path, "r+b") as file:
        file.seek(4000)
        file.write(b"new")


def test_a_file_that_is_written_to_is_looked_at_again(root, driver) -> None:
    """The same inode and size, but what it needs or is called may have changed."""
    made = driver_volume.create(root, VERSION, driver.root)
    overwrite(driver.path(f"{LIB}/{LIBRARY}"))
    assert driver_volume.create(root, VERSION, driver.root).changed
    assert b"new" in (made.path / LIBCUDA).read_bytes()


# What containers may be given.


def upgrade_packages(driver) -> None:
    """Another driver's files; the module of the old one is still loaded."""
    for name in ("libcuda", "libnvidia-ml"):
        driver.path(f"{LIB}/{name}.so.{VERSION}").unlink()
        driver.path(f"{LIB}/{name}.so.1").unlink()
        driver.library(f"{LIB}/{name}.so.570.1", f"{name}.so.1")
    driver.ldconfig()


def test_a_volume_outlives_the_files_it_was_made_of(root, driver) -> None:
    """The package manager replaced them; until the reboot containers need the old ones."""
    driver_volume.create(root, VERSION, driver.root)
    upgrade_packages(driver)
    assert driver_volume.unfit(root, VERSION) == ()
    with pytest.raises(DriverFilesError):
        driver_volume.compare(root, VERSION, driver.root)


OF_THE_HOST_ONLY = (
    "driver file replaced by the packager",
    "driver file added",
    "driver file gone",
    "configuration file added",
)
"""Damages that the volume itself does not have."""


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_volume_is_not_given(root, driver, name) -> None:
    """By the volume's own manifest; what happened to the host's files alone does not matter."""
    path = driver_volume.create(root, VERSION, driver.root).path
    damage, says = DAMAGES[name]
    damage(path, driver)
    reasons = driver_volume.unfit(root, VERSION)
    if name == "driver file's mode changed":
        assert reasons == (f"{LIBCUDA} was changed",)
    elif name in OF_THE_HOST_ONLY:
        assert reasons == ()
    else:
        assert says in "\n".join(reasons)


def test_a_file_overwritten_in_place_is_not_given(root, driver) -> None:
    """By an upgrade that writes into the old files, through the hard link."""
    driver_volume.create(root, VERSION, driver.root)
    overwrite(driver.path(f"{LIB}/{LIBRARY}"))
    assert driver_volume.unfit(root, VERSION) == (f"{LIBCUDA} was changed",)


def test_a_volume_of_another_version_is_not_given(root, driver) -> None:
    """A directory that was renamed by hand."""
    path = driver_volume.create(root, VERSION, driver.root).path
    path.rename(path.with_name("570.1"))
    assert driver_volume.unfit(root, "570.1") == (f"its manifest is of driver {VERSION}",)


def test_a_missing_volume_is_unknown(root) -> None:
    with pytest.raises(UnknownVolume, match=r"^no such volume: nvidia_driver_570\.1$"):
        driver_volume.unfit(root, "570.1")
