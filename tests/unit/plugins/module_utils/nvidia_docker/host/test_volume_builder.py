# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the tree of a driver volume comes into its place, and what is left when it does not."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverVolumeError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    volume_builder,
    volume_store,
)

LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"
LIBRARY = f"libcuda.so.{VERSION}"
LIBCUDA = f"lib64/{LIBRARY}"


def store(root: Path) -> list[str]:
    return sorted(os.listdir(root / "nvidia_driver"))


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing", "partial volume of v1"])
def test_whatever_is_in_the_way_is_replaced_and_never_followed(
    root, driver, tmp_path, kind
) -> None:
    place = root / "nvidia_driver" / VERSION
    place.parent.mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    if kind == "file":
        place.write_text("x")
    elif kind == "partial volume of v1":
        (place / "bin").mkdir(parents=True)
    else:
        place.symlink_to(elsewhere if kind == "link" else elsewhere / "none")
    assert LIBCUDA in driver_volume.create(root, VERSION, driver.root).files
    assert not place.is_symlink()
    assert os.listdir(elsewhere) == ["precious"]
    assert store(root) == [f".{VERSION}.lock", VERSION]


def test_a_running_container_sees_the_new_files(root, driver) -> None:
    """What it has mounted is the directory itself, which stays."""
    path = driver_volume.create(root, VERSION, driver.root).path
    mounted = os.open(path, os.O_RDONLY)
    try:
        new = driver.root / "new"
        new.write_bytes(driver.path(f"{LIB}/{LIBRARY}").read_bytes())
        new.replace(driver.path(f"{LIB}/{LIBRARY}"))
        assert driver_volume.create(root, VERSION, driver.root).changed
        seen = os.stat(LIBCUDA, dir_fd=mounted)
    finally:
        os.close(mounted)
    assert seen.st_ino == driver.path(f"{LIB}/{LIBRARY}").stat().st_ino


KILLED = """
import resource, signal
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
signal.signal(signal.SIGXFSZ, signal.{action})
"""


@pytest.mark.parametrize("there", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("action", ["SIG_DFL", "SIG_IGN"], ids=["killed", "no space"])
def test_a_failed_builder_leaves_what_was_there(
    root, driver, start_create, snapshot, there, action
) -> None:
    """The process may write 10 bytes: it dies, or fails, in the middle of the manifest."""
    if there:
        path = driver_volume.create(root, VERSION, driver.root).path
        (path / "lib64/libcuda.so.1").unlink()
        before = snapshot(path)
    process = start_create(KILLED.format(action=action))
    _output, errors = process.communicate()
    if action == "SIG_DFL":
        assert process.returncode == -signal.SIGXFSZ
    else:
        assert "can't make the driver volume" in errors.splitlines()[-1]
    left_over = [name for name in store(root) if not name.endswith(".lock") and name != VERSION]
    assert len(left_over) == (1 if action == "SIG_DFL" else 0)
    if there:
        assert snapshot(path) == before
    else:
        assert volume_store.list_volumes(root) == ()
    assert driver_volume.create(root, VERSION, driver.root).changed
    assert store(root) == [f".{VERSION}.lock", VERSION]


@pytest.fixture
def other_file_system(tmp_path):
    """A directory that no hard link from the driver reaches."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir=shared) as path:
        yield Path(path)


def test_files_of_another_file_system_are_copied(other_file_system, driver) -> None:
    root = other_file_system / "volumes"
    driver.path(f"{LIB}/{LIBRARY}").chmod(0o4755)
    made = driver_volume.create(root, VERSION, driver.root)
    assert made.link == "copy"
    copy, origin = made.path / LIBCUDA, driver.path(f"{LIB}/{LIBRARY}")
    assert copy.read_bytes() == origin.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o755
    assert not driver_volume.create(root, VERSION, driver.root).changed
    comparison = driver_volume.compare(root, VERSION, driver.root)
    assert comparison.before == comparison.after


def test_copies_can_be_refused(other_file_system, driver) -> None:
    """A volume of copies that is there is not good enough either."""
    root = other_file_system / "volumes"
    hard = driver_volume.Wanted.of(["all"], "hard")
    says = rf"^no hard link to {driver.root}/.* can be made in .*: use .* or allow copies$"
    with pytest.raises(DriverVolumeError, match=says):
        driver_volume.create(root, VERSION, driver.root, hard)
    assert store(root) == [f".{VERSION}.lock"]
    driver_volume.create(root, VERSION, driver.root)
    comparison = driver_volume.compare(root, VERSION, driver.root, hard)
    assert comparison.differences == ("its files came by copy, asked for are hard links",)
    with pytest.raises(DriverVolumeError, match=says):
        driver_volume.create(root, VERSION, driver.root, hard)
    assert driver_volume.unfit(root, VERSION) == ()


@pytest.mark.parametrize("written", ["origin", "copy"])
def test_a_copy_is_made_again_when_it_differs(other_file_system, driver, written) -> None:
    root = other_file_system / "volumes"
    made = driver_volume.create(root, VERSION, driver.root)
    file = made.path / LIBCUDA if written == "copy" else driver.path(f"{LIB}/{LIBRARY}")
    with open(file, "r+b") as stream:
        stream.seek(4000)
        stream.write(b"new")
    assert driver_volume.create(root, VERSION, driver.root).changed
    content_now = (made.path / LIBCUDA).read_bytes()
    assert content_now == driver.path(f"{LIB}/{LIBRARY}").read_bytes()
    assert (b"new" in content_now) is (written == "origin")


def test_names_change_places_where_the_system_has_no_call_for_it(tmp_path) -> None:
    """A name that is not there leaves the other as it was."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.write_text("2")
    volume_builder.exchange_in_three_steps(first, second)
    assert (first.read_text(), second.is_dir()) == ("2", True)
    first.unlink()
    with pytest.raises(FileNotFoundError):
        volume_builder.exchange_in_three_steps(first, second)
    assert os.listdir(tmp_path) == ["second"]
