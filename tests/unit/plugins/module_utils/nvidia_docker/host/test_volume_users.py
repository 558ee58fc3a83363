# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has a driver volume mounted, whatever engine runs it: a real mount in another namespace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import volume_users
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.engine import (
    MountingContainer,
)

VERSIONS = ("900.1", "900.2", "900.3")


class Containers:
    """An engine that has these."""

    def __init__(self, *them: MountingContainer) -> None:
        self.them = them

    def mounts(self) -> tuple[MountingContainer, ...]:
        return self.them


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Volumes, beside a directory of another name that looks like one."""
    root = tmp_path / "volu mes"
    for version in VERSIONS:
        (root / "nvidia_driver" / version / "lib64").mkdir(parents=True)
    (tmp_path / "data/900.3/lib64").mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("mounted", "used"),
    [
        ("volu mes/nvidia_driver/900.1", "900.1"),
        ("volu mes/nvidia_driver/900.2/lib64", "900.2"),
        ("data/900.3", None),
        ("data/900.3/lib64", None),
    ],
)
def test_a_mount_in_another_namespace_is_a_use(tmp_path, volumes, mounted, used) -> None:
    """The volume itself or a part of it; the same name elsewhere is none."""
    target = tmp_path / "a container's root"
    target.mkdir()
    script = 'mount --bind "$0" "$1" && echo ready && read -r line'
    command = ["unshare", "--mount", "sh", "-c", script, str(tmp_path / mounted), str(target)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            pytest.skip("no mounts can be made here")
        found = volume_users.users(volumes, VERSIONS, Containers())
        version = volume_users.mounted_version(process.pid)
        process.communicate("\n")
    assert found == ({} if used is None else {used: (f"process {process.pid}",)})
    assert version == used
    assert os.listdir(target) == []


DOCKERS, OTHERS = "a" * 64, "b" * 64
PROCESSES = {
    7: f"0::/docker/{DOCKERS}",
    8: f"0::/docker/{DOCKERS}",
    9: f"0::/machine.slice/libpod-{OTHERS}.scope/container",
    10: "0::/user.slice",
}


@pytest.mark.parametrize("mounts", [(), ("nvidia_driver_900.1",)])
def test_who_uses_a_volume_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mounts: tuple[str, ...]
) -> None:
    """One of Docker's once, though its CDI devices mount what Docker does not tell; others too."""
    monkeypatch.setattr(volume_users, "_PROC", tmp_path / "proc")
    volume = tmp_path / "nvidia_driver/900.1"
    volume.mkdir(parents=True)
    for pid, group in PROCESSES.items():
        folder = tmp_path / "proc" / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "ns/mnt").symlink_to(f"mnt:[{pid}]")
        (folder / "root").symlink_to("/")
        (folder / "cgroup").write_text(f"{group}\n")
        (folder / "mountinfo").write_text(f"36 35 8:1 {volume} {volume} ro - ext4 /dev/sda1 rw\n")
    engine = Containers(MountingContainer(DOCKERS, "cdi", mounts))
    assert volume_users.users(tmp_path, VERSIONS, engine) == {
        "900.1": ("container cdi", f"process 9 of container {'b' * 12}", "process 10")
    }


LIBRARIES = [
    ("libcuda.so.900.2", "900.2"),
    ("libnvidia-ml.so.900.2", "900.2"),
    ("libnvidia-ml.so.1", None),
    ("libnvidia-egl-gbm.so.900.2", None),
    ("libcuda.so.900.2.bak", None),
]


@pytest.mark.parametrize(("name", "version"), LIBRARIES)
def test_libraries_that_nvidias_programs_mount_tell_the_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, version: str | None
) -> None:
    """Also those that an upgrade of the driver's packages has deleted on the host."""
    line = "36 35 8:1 /usr/lib/x86_64-linux-gnu/{} /usr/lib/libx.so ro - ext4 /dev/sda1 rw\n"
    monkeypatch.setattr(volume_users, "_PROC", tmp_path)
    (tmp_path / "7").mkdir()
    for shown in (name, f"{name}//deleted"):
        (tmp_path / "7/mountinfo").write_text(line.format(shown))
        assert volume_users.mounted_version(7) == version


def test_a_process_that_is_gone_has_nothing_mounted() -> None:
    assert volume_users.mounted_version(2**30) is None
