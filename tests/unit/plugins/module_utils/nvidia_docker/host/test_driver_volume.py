# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Driver volumes: made, verified, made again, removed; in several processes, and when it fails."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverFilesError,
    DriverVolumeError,
    InvalidInput,
    UnknownVolume,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    volume_store,
)

ROOT = Path(__file__).resolve().parents[6]
LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"
LIBCUDA = f"lib64/libcuda.so.{VERSION}"
LIBRARY = f"libcuda.so.{VERSION}"
FILES = (
    "bin/nvidia-smi",
    "lib/libcuda.so",
    "lib/libcuda.so.1",
    f"lib/libcuda.so.{VERSION}",
    "lib64/libcuda.so",
    "lib64/libcuda.so.1",
    LIBCUDA,
    "lib64/libnvidia-ml.so.1",
    f"lib64/libnvidia-ml.so.{VERSION}",
)


def store(root: Path) -> list[str]:
    return sorted(os.listdir(root / "nvidia_driver"))


def test_a_volume_is_hard_links_and_relative_links(root, driver) -> None:
    made = driver_volume.create(root, VERSION, driver.root)
    assert (made.changed, made.files, made.link, made.warnings) == (True, FILES, "hard", ())
    assert made.path == root / "nvidia_driver" / VERSION
    origin = driver.path(f"{LIB}/{LIBRARY}")
    assert os.path.samefile(made.path / LIBCUDA, origin)
    assert os.readlink(made.path / "lib64/libcuda.so.1") == LIBRARY
    assert (made.path / "bin/nvidia-smi").stat().st_ino == driver.path(
        "/usr/lib/nvidia/current/nvidia-smi"
    ).stat().st_ino
    assert sorted(os.listdir(made.path)) == ["bin", "lib", "lib64", "manifest.json", "share"]
    for directory in (root, root / "nvidia_driver", made.path, made.path / "lib64"):
        assert directory.stat().st_mode & 0o7777 == 0o755
    assert store(root) == [f".{VERSION}.lock", VERSION]


def test_directories_are_readable_under_any_umask(root, driver) -> None:
    old = os.umask(0o077)
    try:
        made = driver_volume.create(root, VERSION, driver.root)
    finally:
        os.umask(old)
    for path in (root, made.path, made.path / "lib64"):
        assert path.stat().st_mode & 0o777 == 0o755
    assert (made.path / "manifest.json").stat().st_mode & 0o777 == 0o644


def test_the_manifest_says_what_is_in_it(root, driver) -> None:
    made = driver_volume.create(root, VERSION, driver.root)
    data = json.loads((made.path / "manifest.json").read_text())
    assert (data["format"], data["driver_version"]) == (2, VERSION)
    record = data["records"][0]
    status = driver.path(f"{LIB}/{LIBRARY}").stat()
    assert record["origin"] == f"{LIB}/{LIBRARY}"
    assert (record["inode"], record["size"], record["link"]) == (
        status.st_ino,
        status.st_size,
        "hard",
    )


def test_a_volume_of_a_newer_format_is_neither_used_nor_remade(root, driver, snapshot) -> None:
    """A downgrade must not undo what the newer version has made."""
    made = driver_volume.create(root, VERSION, driver.root)
    file = made.path / "manifest.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 3'))
    before = snapshot(root)
    sentence = (
        f"the driver volume {made.path} has format 3, this version of gpufleet.nvidia reads 2: use "
        "the version that wrote it or a later one, or remove the volume with module "
        "nvidia_driver_volume"
    )
    for use in (driver_volume.create, driver_volume.compare, driver_volume.unfit):
        with pytest.raises(DriverVolumeError) as error:
            use(root, VERSION, *(() if use is driver_volume.unfit else (driver.root,)))
        assert str(error.value) == sentence
    assert snapshot(root) == before
    assert driver_volume.content(root, VERSION)[1]


def test_a_volume_of_an_older_format_is_remade(root, driver) -> None:
    made = driver_volume.create(root, VERSION, driver.root)
    file = made.path / "manifest.json"
    whole = file.read_text()
    file.write_text(whole.replace('"format": 2', '"format": 1'))
    assert driver_volume.create(root, VERSION, driver.root).changed
    assert json.loads(file.read_text()) == json.loads(whole)


def test_a_second_run_changes_nothing_and_opens_no_driver_file(
    root, driver, start_create, snapshot
) -> None:
    driver_volume.create(root, VERSION, driver.root)
    before = snapshot(root)
    hook = "sys.addaudithook(lambda event, args: event == 'open' and print('opened', args[0]))"
    output, errors = start_create(hook).communicate()
    assert output.splitlines()[-1] == "False", errors
    opened = [line.split(" ", 1)[1] for line in output.splitlines() if line.startswith("opened ")]
    assert [p for p in opened if str(root) in p or str(driver.root) in p] == [
        f"{driver.root}/etc/ld.so.cache",
        f"{root}/nvidia_driver/{VERSION}/manifest.json",
    ]
    assert snapshot(root) == before


def test_check_first_writes_nothing(root, driver) -> None:
    comparison = driver_volume.compare(root, VERSION, driver.root)
    assert comparison.differences == ("it does not exist",)
    assert comparison.before == ()
    assert f"lib64/libcuda.so.1 -> {LIBRARY}" in comparison.after
    assert comparison.files == FILES
    assert not root.exists()


def test_warnings_are_repeated_from_the_manifest(root, driver) -> None:
    driver.library("/opt/libnvidia-cfg.so.535.1")
    driver.ldconfig()
    first, second = (driver_volume.create(root, VERSION, driver.root) for _dummy in range(2))
    assert not second.changed
    assert first.warnings == second.warnings != ()


def test_capabilities_are_kept_unless_others_are_asked_for(root, driver) -> None:
    """A maker that was told none keeps those of the volume that it repairs."""
    compute = driver_volume.Wanted.of(["compute"], "auto")
    made = driver_volume.create(root, VERSION, driver.root, compute)
    assert made.files == ("lib64/libcuda.so", "lib64/libcuda.so.1", LIBCUDA)
    assert not driver_volume.create(root, VERSION, driver.root).changed
    (made.path / LIBCUDA).unlink()
    assert driver_volume.create(root, VERSION, driver.root).files == made.files
    everything = driver_volume.Wanted.of(["all"], "auto")
    reasons = driver_volume.compare(root, VERSION, driver.root, everything).differences
    assert reasons == (
        "it is for compute, asked for is compat32, compute, display, graphics, ngx, utility, video",
    )
    assert driver_volume.create(root, VERSION, driver.root, everything).files == FILES


@pytest.mark.parametrize(
    ("words", "capabilities"),
    [
        (["video"], {"video", "compute"}),
        (["display", "ngx"], {"display", "graphics", "ngx"}),
        (["utility", "utility"], {"utility"}),
        ([], set()),
    ],
)
def test_what_capabilities_bring(root, driver, words, capabilities) -> None:
    wanted = driver_volume.Wanted.of(words, "auto")
    driver_volume.create(root, VERSION, driver.root, wanted)
    data = json.loads((root / "nvidia_driver" / VERSION / "manifest.json").read_text())
    assert set(data["capabilities"]) == capabilities


def test_an_unknown_capability_is_named() -> None:
    with pytest.raises(InvalidInput, match="unknown driver capability 'cuda': known are compute"):
        driver_volume.Wanted.of(["cuda"], "auto")


@pytest.mark.parametrize(
    ("loaded", "says"),
    [
        ("535.1", "are of version 550.54.15, but the loaded kernel module is 535.1: reboot"),
        (None, None),
        (VERSION, None),
    ],
)
def test_the_files_must_be_the_loaded_drivers(driver, loaded, says) -> None:
    if says is None:
        assert driver_volume.installed_version(driver.root, loaded) == VERSION
        return
    with pytest.raises(DriverFilesError, match=says):
        driver_volume.installed_version(driver.root, loaded)


# What cannot be asked for.


@pytest.mark.parametrize(
    "version", ["", ".", "..", "../x", "1.", ".1", "1..2", "1.2/", "1.2\n", "1 2", "٣", "-1", "v1"]
)
def test_hostile_versions(root, driver, version) -> None:
    (root / "nvidia_driver").mkdir(parents=True)
    for action in (
        lambda: driver_volume.create(root, version, driver.root),
        lambda: driver_volume.compare(root, version, driver.root),
        lambda: volume_store.remove(root, version),
        lambda: volume_store.mount_point(root, version),
        lambda: driver_volume.content(root, version),
    ):
        with pytest.raises(InvalidInput, match="invalid driver version"):
            action()
    assert store(root) == []


@pytest.mark.parametrize("path", ["volumes", "", "/tmp/../etc"])
def test_roots_that_are_no_absolute_path(driver, path) -> None:
    """v1 took a relative one, which Docker cannot mount."""
    with pytest.raises(InvalidInput, match="give an absolute path"):
        driver_volume.create(Path(path), VERSION, driver.root)


def test_another_version_than_the_hosts_leaves_nothing(root, driver) -> None:
    with pytest.raises(DriverFilesError, match=r"of driver 535\.1"):
        driver_volume.create(root, "535.1", driver.root)
    assert not root.exists()


def test_a_store_that_is_a_link_is_refused(root, driver, tmp_path) -> None:
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "nvidia_driver").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DriverVolumeError, match="no symbolic link"):
        driver_volume.create(root, VERSION, driver.root)
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_root_in_a_file_is_one_sentence(driver, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DriverVolumeError, match=r"can't make the driver volume .*: Not a directory"
    ):
        driver_volume.create(tmp_path / "file" / "volumes", VERSION, driver.root)


# Removing and listing.


def test_remove(root, driver) -> None:
    name = VERSION
    assert volume_store.remove(root, name) is False
    assert not root.exists()
    driver_volume.create(root, VERSION, driver.root)
    origin = driver.path(f"{LIB}/{LIBRARY}")
    assert (
        driver_volume.content(root, VERSION)[1]
        == driver_volume.compare(root, VERSION, driver.root).before
    )
    assert volume_store.remove(root, name) is True
    assert (store(root), volume_store.remove(root, name)) == ([], False)
    assert origin.exists()
    assert driver_volume.content(root, VERSION)[1] is None
    with pytest.raises(UnknownVolume, match=f"^no such volume: nvidia_driver_{VERSION}$"):
        volume_store.mount_point(root, name)
    assert driver_volume.create(root, VERSION, driver.root).changed


def test_remove_of_a_link_leaves_its_target(root, tmp_path) -> None:
    (root / "nvidia_driver").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    (root / "nvidia_driver/1.2").symlink_to(tmp_path / "precious")
    with pytest.raises(UnknownVolume):
        volume_store.mount_point(root, "1.2")
    assert volume_store.remove(root, "1.2") is True
    assert (tmp_path / "precious").is_dir()


def test_list_has_volumes_only_oldest_first(root, driver) -> None:
    assert volume_store.list_volumes(root) == ()
    made = driver_volume.create(root, VERSION, driver.root)
    for name in ("1000.1", "375.26", "..x", "v1", f".{VERSION}.deadbeef"):
        (root / "nvidia_driver" / name).mkdir()
    (root / "nvidia_driver/1.2").write_text("")
    assert volume_store.list_volumes(root) == ("375.26", VERSION, "1000.1")
    assert volume_store.mount_point(root, VERSION) == made.path


# Several processes.


def test_two_creators_make_one_volume(root, driver, start_create) -> None:
    """They start together, one makes it, the others find it right."""
    gate = root.parent / "gate"
    wait = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.001)"
    children = [start_create(wait) for _dummy in range(3)]
    gate.touch()
    answers = [process.communicate() for process in children]
    assert sorted(output.strip() for output, _dummy in answers) == ["False", "False", "True"], (
        answers
    )
    assert driver_volume.compare(root, VERSION, driver.root).differences == ()
    assert store(root) == [f".{VERSION}.lock", VERSION]


def test_a_creator_waits_for_the_holder_of_the_lock(root, driver) -> None:
    """Also when the file that it waits for is deleted meanwhile, and another holds the new one."""
    (root / "nvidia_driver").mkdir(parents=True)
    lock = root / "nvidia_driver" / f".{VERSION}.lock"
    thread = threading.Thread(target=driver_volume.create, args=(root, VERSION, driver.root))
    with contextlib.ExitStack() as second_holder:
        with open(lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            thread.start()
            thread.join(0.2)
            lock.unlink()
            new = second_holder.enter_context(open(lock, "w"))
            fcntl.flock(new, fcntl.LOCK_EX)
        thread.join(0.2)
        assert thread.is_alive()
        assert store(root) == [lock.name]
    thread.join(10)
    assert store(root) == [lock.name, VERSION]
    assert driver_volume.compare(root, VERSION, driver.root).differences == ()
