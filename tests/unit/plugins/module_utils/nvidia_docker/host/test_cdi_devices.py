# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/cdi_devices.py: which specification has a GPU, under which name, and is it true"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_plan import (
    Surroundings,
    plan_devices,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_versions import (
    InstalledEngine,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    CdiError,
    NotInstalled,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    cdi_devices,
    cdi_machine,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.cdi_devices import (  # noqa: E501
    CdiDevices,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    FileMount,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import Host
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import cdi
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import select

DOCKER = InstalledEngine("docker", "26.1.5")
DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
FILE = "/driver/libcuda.so.1"


class Machine:
    """Device nodes, a driver file, and directories of specifications."""

    def __init__(self, root: Path, host: Host) -> None:
        self.root = root
        self.host = host
        paths = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
        for device in host.devices:
            paths += [device.node, *(p for mig in device.mig_devices for p in mig.device_nodes)]
        for path in dict.fromkeys(paths):
            self.at(path).symlink_to("/dev/null")
        self.at(FILE).write_text("")

    def at(self, path: str) -> Path:
        where = self.root / path[1:]
        where.parent.mkdir(parents=True, exist_ok=True)
        return where

    def document(self, kind: str = cdi_devices.GPU_KIND) -> dict:
        """The specification that this machine gives."""
        around = Surroundings(
            "375.26",
            cdi_machine.nodes(self.host, (), self.root),
            files=(FileMount(FILE, "/usr/lib64/libcuda.so.1"),),
        )
        planned = plan_devices(self.host, ["all"], kind, ALL_CAPABILITIES, around)
        return json.loads(cdi.specification(planned))

    def has(self, path: str, document: dict, *names: str) -> None:
        """Write a specification, with the devices of these names only."""
        devices = [one for one in document["devices"] if not names or one["name"] in names]
        self.at(path).write_text(json.dumps({**document, "devices": devices}))

    def find(self, *gpus: str, engine: InstalledEngine = DOCKER) -> CdiDevices:
        devices = select(self.host, gpus)
        return cdi_devices.find(self.host, devices, DIRECTORIES, engine, self.root)


@pytest.fixture
def machine(tmp_path: Path, host: Host) -> Machine:
    return Machine(tmp_path, host)


def test_gpus_are_named_by_uuid(machine: Machine) -> None:
    """An index names another GPU after a reboot."""
    machine.has("/var/run/cdi/nvidia.json", machine.document())
    found = machine.find("1", "0", "3:1")
    assert found.names == (
        "nvidia.com/gpu=GPU-836c",
        "nvidia.com/gpu=GPU-b78a-1",
        "nvidia.com/gpu=MIG-ab",
    )
    assert found.device_nodes == (
        "/dev/nvidiactl",
        "/dev/nvidia-uvm",
        "/dev/nvidia-uvm-tools",
        "/dev/nvidia2",
        "/dev/nvidia0",
        "/dev/nvidia3",
        "/dev/nvidia-caps/nvidia-cap11",
        "/dev/nvidia-caps/nvidia-cap12",
    )
    assert found.groups(machine.root) == ()


def test_a_specification_that_has_indices_only_is_used(machine: Machine) -> None:
    """As nvidia-ctk can make it."""
    machine.has("/etc/cdi/nvidia.json", machine.document(), "0", "1", "3:1")
    assert machine.find("0", "3:1").names == ("nvidia.com/gpu=0", "nvidia.com/gpu=3:1")


def test_an_index_that_is_another_gpus_by_now_is_refused(machine: Machine) -> None:
    machine.has("/etc/cdi/nvidia.json", machine.document(), "0", "1")
    first, second, *others = machine.host.devices
    swapped = (replace(second, index=0), replace(first, index=1), *others)
    machine.host = replace(machine.host, devices=swapped)
    with pytest.raises(CdiError, match="device 0 is another one by now: it lacks /dev/nvidia0"):
        machine.find("0")


def test_of_two_directories_the_later_counts(machine: Machine) -> None:
    """As for the engine: what is wrong in the other one is nobody's matter."""
    stale = machine.document()
    stale["containerEdits"]["deviceNodes"][0]["path"] = "/dev/gone"
    machine.has("/etc/cdi/nvidia.json", stale)
    machine.has("/var/run/cdi/nvidia.json", machine.document())
    assert machine.find("0").names == ("nvidia.com/gpu=GPU-836c",)


def test_gpus_may_be_in_several_files(machine: Machine) -> None:
    machine.has("/etc/cdi/a.json", machine.document(), "GPU-836c")
    machine.has("/etc/cdi/b.json", machine.document(), "GPU-b78a-1")
    assert len(machine.find("0", "1").names) == 2


def test_one_device_in_two_files_of_a_directory_is_refused(machine: Machine) -> None:
    machine.has("/etc/cdi/a.json", machine.document())
    machine.has("/etc/cdi/b.json", machine.document())
    with pytest.raises(
        CdiError, match=r"both .*a\.json and .*b\.json have nvidia\.com/gpu=GPU-836c"
    ):
        machine.find("0")


def test_what_is_wrong_with_other_gpus_is_no_obstacle(machine: Machine) -> None:
    machine.has("/etc/cdi/nvidia.json", machine.document())
    machine.at("/dev/nvidia0").unlink()
    assert machine.find("0").names == ("nvidia.com/gpu=GPU-836c",)
    with pytest.raises(CdiError, match=r"json is not true of this host: /dev/nvidia0.*role"):
        machine.find("1")


def test_much_that_is_wrong_is_told_in_short(machine: Machine) -> None:
    document = machine.document()
    variables = document["containerEdits"]["env"]
    variables[variables.index("GPUFLEET_DRIVER_VERSION=375.26")] = "GPUFLEET_DRIVER_VERSION=370.1"
    machine.has("/etc/cdi/nvidia.json", document)
    machine.at(FILE).unlink()
    for node in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"):
        machine.at(f"/dev/{node}").unlink()
    with pytest.raises(CdiError) as refused:
        machine.find("0")
    assert "; 2 more: apply role gpufleet.nvidia.nvidia_cdi" in str(refused.value)


def test_an_engine_that_does_not_take_its_version_is_told(machine: Machine) -> None:
    machine.has("/etc/cdi/nvidia.json", {**machine.document(), "cdiVersion": "0.8.0"})
    with pytest.raises(CdiError, match=r"docker 26\.1\.5 takes CDI .* of up to version 0\.7\.0"):
        machine.find("0")


def test_no_specification_is_one_sentence(machine: Machine) -> None:
    """A broken one is named; of another vendor's nothing is said."""
    machine.has("/etc/cdi/nic.json", machine.document("vendor.com/nic"))
    machine.at("/etc/cdi/broken.json").write_text("{")
    with pytest.raises(NotInstalled) as refused:
        machine.find("0")
    assert "no CDI specification in /etc/cdi, /var/run/cdi" in str(refused.value)
    assert "broken.json" in str(refused.value)
    assert "nic.json" not in str(refused.value)


def test_a_gpu_that_none_has_is_one_sentence(machine: Machine) -> None:
    machine.has("/etc/cdi/nvidia.json", machine.document(), "GPU-836c", "0")
    with pytest.raises(CdiError, match=r"GPU-b78a-1 is no CDI device in .*json: apply role"):
        machine.find("1")


def test_groups_of_a_specification_count(machine: Machine) -> None:
    """Docker adds none by itself."""
    document = machine.document()
    document["containerEdits"]["additionalGids"] = [44]
    machine.has("/etc/cdi/nvidia.json", {**document, "cdiVersion": "0.7.0"})
    assert machine.find("0").groups(machine.root) == (44,)
