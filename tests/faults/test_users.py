# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has a driver volume mounted, in whatever mount namespace: pruning leaves it alone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    volume_store,
)
from ansible_collections.gpufleet.nvidia.tests.faults import tools
from ansible_collections.gpufleet.nvidia.tests.faults.tools import VERSION

ROOT = Path(__file__).resolve().parents[2]
MODULE = "ansible_collections.gpufleet.nvidia.plugins.modules.nvidia_driver_volume"


def prune(tmp_path: Path, root: Path) -> dict:
    """Return the result of state=pruned on a host without Docker and without a driver."""
    file = tmp_path / "arguments.json"
    arguments = {
        "state": "pruned",
        "path": str(root),
        "driver_root": str(tmp_path / "no driver"),
        "docker_host": f"unix://{tmp_path}/no.sock",
    }
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    done = subprocess.run(
        [sys.executable, "-m", MODULE, str(file)],
        cwd=ROOT / ".dev",
        env={**os.environ, "PATH": str(tmp_path / "no programs")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def container(source: Path, target: Path, last: str = "") -> Iterator[int]:
    """Mount ``source`` in a mount namespace of its own, as an engine does, and yield the process.

    ``last`` is run there before it goes on.
    """
    script = f"mount --bind {source} {target} && {last or ':'} && echo ready && exec cat"
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize("below", ["", "lib64", f"lib64/libcuda.so.{VERSION}"])
def test_a_mount_in_another_namespace_keeps_the_volume(
    namespace, tmp_path: Path, below: str
) -> None:
    """The volume itself, a directory in it, or a single file."""
    driver = tools.install(tmp_path / "driver")
    root = tmp_path / "volumes"
    path = driver_volume.create(root, VERSION, driver.root).path
    (root / "nvidia_driver/1.2").mkdir()
    source, target = path / below, tmp_path / "target"
    target.mkdir() if source.is_dir() else target.touch()
    with container(source, target) as pid:
        assert not os.path.ismount(target)
        result = prune(tmp_path, root)
        assert result["removed"] == ["nvidia_driver_1.2"]
        assert result["kept"] == {f"nvidia_driver_{VERSION}": [f"process {pid}"]}
        assert driver_volume.unfit(root, VERSION) == ()
    assert prune(tmp_path, root)["removed"] == [f"nvidia_driver_{VERSION}"]
    assert volume_store.list_volumes(root) == ()


def test_a_store_of_its_own_file_system(tmpfs, tmp_path: Path) -> None:
    """There the mounted directory is not the path that the host has for it."""
    driver = tools.install(tmp_path / "driver")
    root = tmpfs("store with a space")
    path = driver_volume.create(root, VERSION, driver.root).path
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(path)
    target.mkdir()
    with container(link, target, last=f"umount '{root}'"):
        assert prune(tmp_path, root)["removed"] == []
        assert driver_volume.unfit(root, VERSION) == ()
    assert prune(tmp_path, root)["removed"] == [f"nvidia_driver_{VERSION}"]


def test_what_killed_processes_left_is_pruned(tmp_path: Path) -> None:
    """Of versions that have no volume any more, so that nobody else would come by."""
    driver = tools.install(tmp_path / "driver")
    root = tmp_path / "volumes"
    driver_volume.create(root, VERSION, driver.root)
    store = root / "nvidia_driver"
    for version in (VERSION, "535.1", "1"):
        (store / f".{version}.0123abcd/lib64").mkdir(parents=True)
    for name in (".keep", ".1.notours", ".535.1.0123abcd.mine"):
        (store / name).mkdir()
    prune(tmp_path, root)
    assert tools.in_store(root) == [".1.notours", ".535.1.0123abcd.mine", ".keep"]
