# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/process_container.py and pci.py: what /proc and /sys say."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    pci,
    process_container,
)

ID = "5d1c33dd7e9c0b1fca0a90e5a49ba3c5b2d1a0cbb8eb57e4c6f7f0ef3c2b1a09"
OTHER = ID[::-1]

GROUPS = [
    (f"0::/system.slice/docker-{ID}.scope", ID),
    (f"0::/docker/{ID}", ID),
    (f"12:devices:/docker/{ID}\n11:cpu,cpuacct:/docker/{ID}\n1:name=systemd:/docker/{ID}", ID),
    (f"0::/machine.slice/libpod-{ID}.scope/container", ID),
    (f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope", ID),
    (f"0::/kubepods.slice/kubepods-podab.slice/cri-containerd-{ID}.scope", ID),
    (f"0::/kubepods/besteffort/podab/{ID}", ID),
    (f"0::/k8s.io/{ID}", ID),
    (f"0::/system.slice/containerd.service/kubepods-podab.slice:cri-containerd:{ID}", ID),
    # Docker in Docker: the innermost.
    (f"0::/system.slice/docker-{OTHER}.scope/docker/{ID}", ID),
    (f"0::/docker/{ID}/init.scope", ID),
    ("0::/system.slice/ssh.service", None),
    ("0::/user.slice/user-0.slice/session-1.scope", None),
    ("0::/", None),
    (f"0::/docker/{ID[:-1]}", None),
    (f"0::/docker/{ID}0", None),
    (f"0::/docker/{ID.upper()}", None),
    ("", None),
    ("no control group", None),
]


@pytest.mark.parametrize(("group", "wanted"), GROUPS)
def test_the_container_of_a_process(group, wanted, tmp_path: Path) -> None:
    folder = tmp_path / "proc/4242"
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text(f"{group}\n")
    assert process_container.container_id(tmp_path, 4242) == wanted


def test_a_process_that_ended_is_in_no_container(tmp_path: Path) -> None:
    assert process_container.container_id(tmp_path, 4242) is None


GPU = "0000:04:00.0"


@pytest.fixture
def gpu(tmp_path: Path) -> Path:
    """A GPU behind a port, as sysfs links them."""
    device = tmp_path / "sys/devices/pci0000:00/0000:00:02.0" / GPU
    device.mkdir(parents=True)
    listed = tmp_path / "sys/bus/pci/devices"
    listed.mkdir(parents=True)
    (listed / GPU).symlink_to(device)
    return device


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("ours", "above", "wanted"),
    [
        (("32.0 GT/s PCIe", "16"), ("32.0 GT/s PCIe", "16"), (5, 16)),
        (("32.0 GT/s PCIe", "16"), ("16.0 GT/s PCIe", "8"), (4, 8)),
        (("8.0 GT/s PCIe", "8"), ("64.0 GT/s PCIe", "16"), (3, 8)),
        (("2.5 GT/s", "1"), None, (1, 1)),
        (("5.0 GT/s PCIe", "4"), ("Unknown", "255x"), (2, 4)),
        (None, None, (None, None)),
    ],
)
def test_a_link_is_as_good_as_its_worse_end(ours, above, wanted, gpu, tmp_path) -> None:
    for folder, told in ((gpu, ours), (gpu.parent, above)):
        if told is not None:
            write(folder, max_link_speed=told[0], max_link_width=told[1])
    write(gpu, current_link_width="4")
    assert pci.link(tmp_path, GPU) == (*wanted, 4)


@pytest.mark.parametrize(("text", "wanted"), [("1", 1), ("0", 0), ("-1", None), ("x", None)])
def test_a_gpu_without_numa_node_has_none(text, wanted, gpu, tmp_path) -> None:
    """v1 says 0, which is a node."""
    write(gpu, numa_node=text)
    assert pci.numa_node(tmp_path, GPU) == wanted


def test_cpus_near_a_gpu(gpu, tmp_path) -> None:
    assert pci.cpu_affinity(tmp_path, GPU) is None
    write(gpu, local_cpulist="0-15,32-47")
    assert pci.cpu_affinity(tmp_path, GPU) == "0-15,32-47"
