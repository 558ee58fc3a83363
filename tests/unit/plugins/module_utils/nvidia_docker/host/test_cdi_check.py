# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/cdi_check.py: specifications of ours, and recorded ones of nvidia-ctk"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import cdi_yaml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_plan import (
    Surroundings,
    limited,
    plan_devices,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_reader import read
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_versions import (
    InstalledEngine,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    UnknownDevice,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    cdi_check,
    cdi_machine,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    FileMount,
    Hook,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    Device,
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import cdi

GOLDEN = Path(__file__).resolve().parents[5] / "golden" / "ctk"
FILE, HOOK = "/driver/libcuda.so.1", "/usr/bin/nvidia-cdi-hook"


@pytest.fixture
def root(tmp_path: Path, host) -> Path:
    """A machine with all nodes, a driver file and a hook."""
    paths = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
    for device in host.devices:
        paths += [device.node, *(p for mig in device.mig_devices for p in mig.device_nodes)]
    for path in dict.fromkeys(paths):
        where = tmp_path / path[1:]
        where.parent.mkdir(parents=True, exist_ok=True)
        where.symlink_to("/dev/null")
    for path in (FILE, HOOK, "/sbin/ldconfig"):
        where = tmp_path / path[1:]
        where.parent.mkdir(parents=True)
        where.write_text("")
        where.chmod(0o755)
    return tmp_path


def document(host: Host, root: Path, identifiers=("all",)) -> dict:
    """The specification that this machine gives."""
    around = Surroundings(
        "375.26",
        cdi_machine.nodes(host, (), root),
        files=(FileMount(FILE, "/usr/lib64/libcuda.so.1"),),
        hooks=(Hook(HOOK, ("update-ldcache",)),),
    )
    plan = plan_devices(host, identifiers, "nvidia.com/gpu", ALL_CAPABILITIES, around)
    return json.loads(cdi.specification(plan))


def problems(value: dict, host: Host, root: Path, identifiers=("all",), engines=()) -> list[str]:
    return list(cdi_check.problems(read(value), host, identifiers, engines, root))


def test_what_was_just_made_is_true(host, root) -> None:
    """Of all GPUs and of some."""
    assert problems(document(host, root), host, root) == []
    assert problems(document(host, root, ["1"]), host, root, ["1"]) == []
    assert problems(document(host, root, ["3:1"]), host, root, ["MIG-ab"]) == []


def link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def test_what_is_gone_from_the_machine_is_named(host, root) -> None:
    """Once, with all devices that have it."""
    value = document(host, root)
    (root / "dev/nvidia0").unlink()
    (root / "driver/libcuda.so.1").unlink()
    (root / "usr/bin/nvidia-cdi-hook").unlink()
    assert problems(value, host, root) == [
        "/dev/nvidia0, for device 1, device GPU-b78a-1, device all: this device node is not there",
        "/driver/libcuda.so.1 is not there: containers would not start",
        "the hook /usr/bin/nvidia-cdi-hook is no program: containers would not start",
    ]


def test_a_hook_needs_the_hosts_ldconfig(host, root) -> None:
    value = document(host, root)
    (root / "sbin/ldconfig").unlink()
    assert problems(value, host, root) == [
        "a hook runs /sbin/ldconfig, which is not there: containers would not start"
    ]


def test_another_device_number_is_named(host, root) -> None:
    """nvidia-uvm gets another major number at each boot."""
    value = document(host, root)
    link(root / "dev/nvidia-uvm", "/dev/zero")
    assert problems(value, host, root) == [
        "/dev/nvidia-uvm, for every device: it is 1:5, the specification says 1:3: containers "
        "would get another device"
    ]


NODE_FIELDS = [
    ({"minor": 4}, "it is 1:3, the specification says 1:4"),
    ({"major": 2}, "it is 1:3, the specification says 2:3"),
    ({"fileMode": 0o600}, "it has mode 0666, the specification says 0600"),
    ({"gid": 44}, "it belongs to group 0, the specification says 44"),
    ({"type": "b"}, "it is a character device, the specification says type b"),
    ({"hostPath": "/dev/none"}, "/dev/none, for every device: this device node is not there"),
    # As nvidia-ctk writes them, and what the engine looks up itself.
    ({"type": "c"}, ""),
    ({"type": "u"}, ""),
    ({"major": 0, "minor": 9}, ""),
    ({"fileMode": 0o20666}, ""),
    ({"hostPath": "/dev/nvidia-uvm"}, ""),
    ({"path": "/dev/other"}, "/dev/other, for every device: this device node is not there"),
]


@pytest.mark.parametrize(("fields", "says"), NODE_FIELDS)
def test_each_field_of_a_node_is_compared(host, root, fields, says) -> None:
    value = document(host, root)
    value["containerEdits"]["deviceNodes"][0].update(fields)
    found = [one for one in problems(value, host, root) if "CUDA would fail" not in one]
    assert len(found) == bool(says)
    assert all(says in one for one in found)


def test_another_driver_is_named(host, root) -> None:
    """The loaded one counts, not the installed one."""
    value = document(host, root)
    other = dataclasses.replace(host, driver=Driver("375.26", None, None, "384.90"))
    assert problems(value, other, root) == ["it is for driver 375.26, loaded is 384.90"]
    unknown = dataclasses.replace(host, driver=Driver(None, None, None, None))
    assert problems(value, unknown, root) == []


def test_a_new_gpu_and_a_gone_one_are_named(host, root) -> None:
    """In both directions."""
    fewer = dataclasses.replace(host, devices=host.devices[1:])
    assert problems(document(fewer, root), host, root) == ["GPU-836c is not in the specification"]
    assert problems(document(host, root), fewer, root) == [
        "device 0 is not on this machine",
        "device GPU-836c is not on this machine",
    ]


def test_gpus_that_are_numbered_anew_are_named(host, root) -> None:
    """A container that asks for 0 would get another one than nvidia-smi's 0."""
    swapped = (
        dataclasses.replace(host.devices[1], index=0),
        dataclasses.replace(host.devices[0], index=1),
    )
    other = dataclasses.replace(host, devices=(*swapped, *host.devices[2:]))
    assert problems(document(host, root), other, root) == [
        "device 0 is another one by now: it lacks /dev/nvidia0",
        "device 1 is another one by now: it lacks /dev/nvidia2",
    ]


def with_migs(host: Host, migs: tuple, enabled: bool = True) -> Host:
    last = dataclasses.replace(host.devices[3], mig_devices=migs, mig_enabled=enabled)
    return dataclasses.replace(host, devices=(*host.devices[:3], last))


def test_mig_changes_are_named(host, root) -> None:
    """nvidia-ctk's own service does not notice them."""
    one, two = host.devices[3].mig_devices
    only_one = with_migs(host, (one,))
    assert problems(document(host, root), only_one, root) == [
        "device 3:1 is not on this machine",
        "device MIG-ab is not on this machine",
    ]
    assert problems(document(only_one, root), host, root) == [
        f"device 3 is another one by now: it lacks {', '.join(two.capability_nodes)}",
        f"device GPU-dd is another one by now: it lacks {', '.join(two.capability_nodes)}",
        "MIG-ab is not in the specification",
    ]
    off = with_migs(host, (), enabled=False)
    assert "device 3:0 is not on this machine" in problems(document(host, root), off, root)
    none = with_migs(host, ())
    assert problems(document(off, root), none, root) == [
        "device 3: the GPU is in MIG mode, without a MIG device",
        "device GPU-dd: the GPU is in MIG mode, without a MIG device",
    ]


def test_a_gpu_that_no_container_can_be_given_is_not_missed(host, root) -> None:
    """It is in MIG mode and has no MIG device."""
    fewer = dataclasses.replace(host, devices=host.devices[:3])
    assert problems(document(fewer, root), with_migs(host, ()), root) == []


def test_a_gpu_without_node_is_not_missed(host, root) -> None:
    """It can't be in a specification: the machine is wrong, not that."""
    fewer = dataclasses.replace(host, devices=host.devices[1:])
    without = dataclasses.replace(host, missing_nodes=("/dev/nvidia2",))
    assert problems(document(fewer, root), without, root) == []


def test_without_a_driver_its_reason_is_told(host, root) -> None:
    """Not that each GPU is gone."""
    dead = dataclasses.replace(host, devices=(), reason="the kernel module is not loaded")
    assert problems(document(host, root), dead, root) == [
        "no GPU of this machine can be used: the kernel module is not loaded"
    ]


def test_all_has_to_be_all(host, root) -> None:
    value = document(host, root)
    value["devices"][-1]["containerEdits"]["deviceNodes"].pop(0)
    assert problems(value, host, root) == ["GPU-836c is not in device all"]


def test_a_specification_without_a_control_node_is_named(host, root) -> None:
    """nvidia-ctk leaves nvidia-uvm out with a warning."""
    value = document(host, root)
    nodes = value["containerEdits"]["deviceNodes"]
    removed = nodes.pop([node["path"] for node in nodes].index("/dev/nvidia-uvm"))
    assert problems(value, host, root) == [
        "/dev/nvidia-uvm is not in the specification: CUDA would fail"
    ]
    for device in value["devices"]:
        device["containerEdits"]["deviceNodes"].append(removed)
    assert problems(value, host, root) == []


def test_a_version_that_an_engine_refuses_is_named(host, root) -> None:
    """And one that is lower than the fields need."""
    value = document(host, root)
    podman = (InstalledEngine("podman", "4.3.1"),)
    assert problems(value, host, root, engines=podman) == []
    value["cdiVersion"] = "0.7.0"
    (found,) = problems(value, host, root, engines=podman)
    assert found.startswith("podman 4.3.1 takes CDI specifications of up to version 0.5.0")
    value["cdiVersion"] = "0.3.0"
    (found,) = problems(value, host, root, engines=podman)
    assert "names that start with a digit (0) needs 0.5.0: newer engines ignore it" in found


def test_an_unknown_gpu_is_refused(host, root) -> None:
    with pytest.raises(UnknownDevice):
        problems(document(host, root), host, root, ["7"])


# nvidia-ctk's


def recorded(name: str) -> dict:
    return cdi_yaml.read((GOLDEN / f"{name}.yaml").read_text())


@pytest.fixture
def t4() -> Host:
    """The machine t4-flat as NVML showed it."""
    buses = ("3b", "86", "af", "d8")
    return Host(
        driver=Driver("550.163.01", "12.4", "12.550.163.01", "550.163.01"),
        devices=tuple(
            Device(
                index=index,
                uuid=f"GPU-00000074-0000-0000-0000-{index:012d}",
                minor_number=index,
                pci_bus_id=f"0000:{bus}:00.0",
                name="NVIDIA T4",
                memory_mib=15360,
                compute_capability="7.5",
                brand="nvidia",
                mig_enabled=False,
                mig_devices=(),
            )
            for index, bus in enumerate(buses)
        ),
        unreadable=(),
        control_nodes=(),
        missing_nodes=(),
        reason=None,
    )


def beside_nodes_and_files(value: dict, host: Host, root: Path, identifiers=("all",)) -> list[str]:
    """The problems that are not of device nodes and files: this machine has none of them."""
    found = problems(value, host, root, identifiers)
    return [one for one in found if "is not there" not in one and "is no program" not in one]


@pytest.mark.parametrize(
    ("name", "identifiers"),
    [
        ("t4-flat", ["all"]),
        ("t4-flat-no-gids", ["all"]),
        ("t4-flat-two-devices", ["1", "3"]),
        ("t4-flat-type-index", ["0"]),
        ("t4-flat-no-all-no-hooks", ["all"]),
        ("t4-flat-vendor-class", ["0"]),
        ("t4-flat-explicit-libs", ["0"]),
    ],
)
def test_a_recorded_specification_is_true_of_its_machine(t4, tmp_path, name, identifiers) -> None:
    """Whatever names its devices have; the driver version is found in hooks or file names."""
    value = recorded(name)
    assert cdi_check.driver_version(read(value)) == "550.163.01"
    assert beside_nodes_and_files(value, t4, tmp_path, identifiers) == []


def test_every_node_and_file_of_a_recorded_specification_is_looked_for(t4, tmp_path) -> None:
    """On a machine that has nothing of it."""
    value = recorded("t4-flat")
    text = "\n".join(problems(value, t4, tmp_path))
    edits = [value["containerEdits"], *(one["containerEdits"] for one in value["devices"])]
    paths = {node["path"] for one in edits for node in one["deviceNodes"]}
    assert len(paths) == 16
    for path in paths:
        assert f"\n{path}, for " in f"\n{text}"
    files = {mount["hostPath"] for mount in value["containerEdits"]["mounts"]}
    assert len(files) > 40
    for path in files:
        assert f"\n{path} is not there" in f"\n{text}"


def test_a_recorded_specification_of_another_machine_is_stale(t4, tmp_path) -> None:
    more = dataclasses.replace(t4.devices[0], index=4, uuid="GPU-new", minor_number=4)
    other = dataclasses.replace(
        t4, devices=(*t4.devices[1:], more), driver=Driver("570.1", None, None, "570.1")
    )
    assert beside_nodes_and_files(recorded("t4-flat"), other, tmp_path) == [
        "it is for driver 550.163.01, loaded is 570.1",
        "device 0 is not on this machine",
        "device GPU-00000074-0000-0000-0000-000000000000 is not on this machine",
        "GPU-new is not in the specification",
    ]


# Ours, against what would be made now


def test_what_would_be_made_otherwise_is_named(host, root) -> None:
    """Each variable, node, mount, hook and device, in both directions."""
    old = document(host, root)
    new = json.loads(json.dumps(old))
    assert cdi_check.differences(read(old), read(new)) == ()
    common = new["containerEdits"]
    common["env"][1] = "GPUFLEET_DRIVER_VERSION=1"
    common["mounts"][0]["options"] = ["rw"]
    common["hooks"] = []
    common["deviceNodes"][0]["permissions"] = "rwm"
    common["additionalGids"] = [44]
    removed = new["devices"].pop(0)["name"]
    new["cdiVersion"] = "0.7.0"
    found = cdi_check.differences(read(old), read(new))
    assert found[0].endswith("CDI 0.5.0; it would be of nvidia.com/gpu, CDI 0.7.0")
    assert found[1] == f"device {removed} is no longer to be there"
    assert sorted(one.partition(":")[2].split()[0] for one in found[2:]) == [
        "additional",
        "device",
        "device",
        "hook",
        "mount",
        "mount",
        "variable",
        "variable",
    ]
    back = cdi_check.differences(read(new), read(old))
    assert f"device {removed} is missing" in back


def test_groups_that_a_version_drops_are_a_difference(host, root) -> None:
    """The plan of another CDI version is another specification."""
    around = Surroundings(
        "1",
        tuple(
            dataclasses.replace(one, mode=0o660, gid=44)
            for one in cdi_machine.nodes(host, (), root)
        ),
        {"0000:04:00.0": ("/dev/nvidia2",)},
    )
    plan = plan_devices(host, ["0"], "nvidia.com/gpu", ALL_CAPABILITIES, around)
    less, _dropped = limited(plan, "0.5.0")
    texts = [json.loads(cdi.specification(one)) for one in (less, plan)]
    found = cdi_check.differences(*map(read, texts))
    assert "device 0: additional group 44 is missing" in found
