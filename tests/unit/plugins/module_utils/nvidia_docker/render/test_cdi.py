# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""render/cdi.py: by hand, and any machine that a machine file can describe"""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (
    cdi_reader,
    cdi_versions,
    cdi_yaml,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_plan import (
    CdiPlan,
    Surroundings,
    limited,
    plan_devices,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_spec import (
    Edits,
    Spec,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
    DriverCapability,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    CdiError,
    DriverUnavailable,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    FileMount,
    Hook,
    Injection,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    CONTROL_NODES,
    Device,
    DeviceNode,
    Driver,
    Host,
    MigDevice,
    UnreadableDevice,
    capability_node,
    device_node,
    sysfs_pci_bus_id,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import cdi

SCHEMA = json.loads(Path(__file__).with_name("cdi_schema.json").read_text())
MACHINES = Path(__file__).resolve().parents[6] / "roles/simulated_gpu/files/machines"
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

UVM = DeviceNode("/dev/nvidia-uvm", 508, 0, 0o666, 0, 0)
CARD = DeviceNode("/dev/dri/card1", 226, 1, 0o660, 0, 44)
PLAN = CdiPlan(
    kind="nvidia.com/gpu",
    common=Injection(
        device_nodes=(UVM.path,),
        environment=(("NVIDIA_VISIBLE_DEVICES", "void"),),
        files=(
            FileMount("/v/libcuda.so.1", "/usr/lib64/libcuda.so.1"),
            FileMount("/run/s", "/run/s", writable=True),
        ),
        hooks=(Hook("/usr/bin/nvidia-cdi-hook", ("update-ldcache", "--folder", "/x")),),
    ),
    devices=(("0", Injection(device_nodes=(CARD.path,), groups=(44,))),),
    nodes=(UVM, CARD),
)


def test_a_plan_is_written_as_a_specification() -> None:
    """Never with ``m``, never with an empty list; a hook gets a fixed environment."""
    assert json.loads(cdi.specification(PLAN)) == {
        "cdiVersion": "0.7.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            {
                "name": "0",
                "containerEdits": {
                    "deviceNodes": [
                        {
                            "path": "/dev/dri/card1",
                            "major": 226,
                            "minor": 1,
                            "fileMode": 0o660,
                            "permissions": "rw",
                            "gid": 44,
                        }
                    ],
                    "additionalGids": [44],
                },
            }
        ],
        "containerEdits": {
            "env": ["NVIDIA_VISIBLE_DEVICES=void"],
            "deviceNodes": [
                {
                    "path": "/dev/nvidia-uvm",
                    "major": 508,
                    "minor": 0,
                    "fileMode": 0o666,
                    "permissions": "rw",
                }
            ],
            "mounts": [
                {
                    "hostPath": "/v/libcuda.so.1",
                    "containerPath": "/usr/lib64/libcuda.so.1",
                    "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"],
                },
                {
                    "hostPath": "/run/s",
                    "containerPath": "/run/s",
                    "options": ["nosuid", "nodev", "noexec", "rbind", "rprivate"],
                },
            ],
            "hooks": [
                {
                    "hookName": "createContainer",
                    "path": "/usr/bin/nvidia-cdi-hook",
                    "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", "/x"],
                    "env": ["NVIDIA_CTK_DEBUG=false"],
                }
            ],
        },
    }


def test_the_version_is_the_lowest_that_is_enough_or_the_demanded() -> None:
    """Too low a one is refused with what needs more."""
    bare, _dropped = limited(PLAN, "0.6.0")
    by_uuid = dataclasses.replace(bare, devices=(("GPU-1", bare.devices[0][1]),))
    assert json.loads(cdi.specification(by_uuid))["cdiVersion"] == "0.3.0"
    assert json.loads(cdi.specification(bare))["cdiVersion"] == "0.5.0"
    assert json.loads(cdi.specification(PLAN, "1.0.0"))["cdiVersion"] == "1.0.0"
    with pytest.raises(CdiError, match=r"0.6.0 is too low: additionalGids needs 0.7.0 or higher"):
        cdi.specification(PLAN, "0.6.0")
    dotted = dataclasses.replace(by_uuid, kind="nvidia.com/gpu.x")
    with pytest.raises(CdiError, match=r"0.5.0 is too low: a dot in the class"):
        cdi.specification(dotted, "0.5.0")


def test_nobody_gets_a_specification_without_a_device() -> None:
    """Engines ignore one."""
    with pytest.raises(CdiError, match="devices is empty"):
        cdi.specification(dataclasses.replace(PLAN, devices=()))


# Any machine.


def host_of(machine: dict) -> Host:
    """The host that discovery makes of a machine file; missing fields as the simulated NVML."""
    devices, unreadable = [], []
    for index, gpu in enumerate(machine["gpus"]):
        uuid, minor = gpu.get("uuid"), gpu.get("minor")
        bus_id = sysfs_pci_bus_id(gpu.get("busid") or "")
        if not isinstance(uuid, str) or uuid.startswith("err:") or minor is None or not bus_id:
            unreadable.append(UnreadableDevice(index, bus_id, "it does not tell"))
            continue
        migs = tuple(
            MigDevice(
                uuid=mig["uuid"],
                index=number,
                gpu_index=index,
                gpu_uuid=uuid,
                gpu_instance_id=mig["gi"],
                compute_instance_id=mig["ci"],
                name=None,
                profile=mig["profile"],
                memory_mib=None,
                node=device_node(minor),
                capability_nodes=(
                    capability_node(100 * minor + 10 * mig["gi"] + 3),
                    capability_node(100 * minor + 10 * mig["gi"] + 4 + mig["ci"]),
                ),
            )
            for number, mig in enumerate(gpu.get("migs", ()))
        )
        on = bool(gpu.get("mig_mode"))
        devices.append(
            Device(index, uuid, minor, bus_id, None, None, None, None, on, migs if on else ())
        )
    version = machine["driver"]
    return Host(
        driver=Driver(version, None, None, version),
        devices=tuple(devices),
        unreadable=tuple(unreadable),
        control_nodes=CONTROL_NODES,
        missing_nodes=(),
        reason=None if devices else "no GPU",
    )


def vary(machine: dict, chance: random.Random) -> dict:
    """Another machine: GPUs taken away, doubled, renumbered, in MIG mode, without identity."""
    gpus = [dict(gpu) for gpu in machine["gpus"] for _copy in range(chance.randint(0, 2))]
    chance.shuffle(gpus)
    minors = chance.sample(range(64), len(gpus))
    for number, gpu in enumerate(gpus):
        gpu["uuid"] = f"GPU-{number:08x}-{chance.getrandbits(32):08x}"
        gpu["minor"] = minors[number]
        domain = chance.choice((0, 1, 0x10000))
        gpu["busid"] = f"{domain:08X}:{number:02X}:00.0"
        gpu["mig_mode"] = chance.choice((None, 0, 0, 1))
        gpu["migs"] = [
            {
                "uuid": f"MIG-{number:08x}-{place}",
                "profile": chance.choice(("1g.5gb", "1g.5gb+gfx", "2g.10gb")),
                "gi": place + 7,
                "ci": chance.randint(0, 2),
            }
            for place in range(chance.randint(0, 7))
        ]
        if chance.random() < 0.05:
            gpu["uuid"] = chance.choice(("GPU x", "GPU-é", "../x", gpus[0]["uuid"]))
        for field in ("uuid", "minor", "busid"):
            if chance.random() < 0.05:
                gpu[field] = None
    return {**machine, "gpus": gpus}


def around(host: Host, chance: random.Random) -> Surroundings:
    """DRM nodes for some GPUs, device numbers at random, perhaps a hook."""
    drm = {
        device.pci_bus_id: (f"/dev/dri/card{number}", f"/dev/dri/renderD{128 + number}")
        for number, device in enumerate(host.devices)
        if chance.random() < 0.6
    }
    paths = [*host.control_nodes, *(path for pair in drm.values() for path in pair)]
    for device in host.devices:
        paths += [device.node, *(p for mig in device.mig_devices for p in mig.device_nodes)]
    nodes = tuple(
        DeviceNode(
            path,
            chance.randint(1, 4095),
            chance.choice((0, chance.getrandbits(20))),
            chance.choice((0o666, 0o660, 0o444)),
            chance.choice((0, 0, 1000)),
            chance.choice((0, 44, 2**32 - 2)),
        )
        for path in dict.fromkeys(paths)
    )
    files = tuple(FileMount(f"/v/{n}", f"/usr/{n}", n == 1) for n in range(chance.randint(0, 3)))
    hooks = (Hook("/usr/bin/h", ("x",)),) if chance.random() < 0.3 else ()
    return Surroundings(host.driver.version, nodes, drm, files, hooks)


def parsed(spec: Spec, wanted: CdiPlan) -> CdiPlan:
    """What a specification says, as the plan that it was made from would say it."""
    nodes = {
        node.path: DeviceNode(
            node.path, node.major, node.minor, node.file_mode, node.uid or 0, node.gid or 0
        )
        for _where, edits in spec.all_edits()
        for node in edits.nodes
    }
    return CdiPlan(
        kind=spec.kind,
        common=injection(spec.common),
        devices=tuple((device.name, injection(device.edits)) for device in spec.devices),
        nodes=tuple(nodes.values()),
        left_out=wanted.left_out,
    )


def injection(edits: Edits) -> Injection:
    return Injection(
        device_nodes=tuple(node.path for node in edits.nodes),
        environment=tuple(tuple(entry.split("=", 1)) for entry in edits.environment),
        files=tuple(
            FileMount(m.host_path, m.container_path, "ro" not in m.options) for m in edits.mounts
        ),
        groups=edits.groups,
        hooks=tuple(Hook(hook.path, hook.arguments[1:]) for hook in edits.hooks),
    )


FILES = sorted(path.stem for path in MACHINES.glob("*.json"))
CAPABILITIES = (
    ALL_CAPABILITIES,
    frozenset({DriverCapability.COMPUTE}),
    frozenset({DriverCapability.GRAPHICS}),
)


@pytest.mark.parametrize("name", FILES)
def test_any_machine_gives_a_specification_that_engines_accept(name) -> None:
    """Which parses back to the same plan, from JSON and from YAML, in each version of CDI."""
    made = json.loads((MACHINES / f"{name}.json").read_text())
    chance = random.Random(name)
    for number in range(16):
        host = host_of(vary(made, chance) if number else made)
        chosen = chance.choice((["all"], [str(d.index) for d in host.devices[::2]] or ["none"]))
        args = (host, chosen, "nvidia.com/gpu", chance.choice(CAPABILITIES), around(host, chance))
        try:
            plan = plan_devices(*args)
        except DriverUnavailable:
            # No GPU, or each of them in MIG mode without a MIG device.
            assert not any(d.mig_devices or not d.mig_enabled for d in host.devices[::2])
            continue
        told = {one.device for one in plan.left_out}
        assert len(told) >= len(host.unreadable)
        version = chance.choice((None, *cdi_versions.VERSIONS))
        plan, _dropped = (plan, ()) if version is None else limited(plan, version)
        text = cdi.specification(plan, version)
        VALIDATOR.validate(json.loads(text))
        spec = cdi_reader.read_text(text)
        assert parsed(spec, plan) == _only_used(plan)
        lowest = cdi_versions.demands(spec)[-1].version
        assert spec.version == version or (version is None and spec.version == lowest)
        assert cdi_versions.number(lowest) <= cdi_versions.number(spec.version)
        as_yaml = yaml.dump(json.loads(text), Dumper=yaml.CSafeDumper, sort_keys=False, width=10**6)
        assert cdi_yaml.read(as_yaml) == json.loads(text)


def _only_used(plan: CdiPlan) -> CdiPlan:
    """Node facts in the order of their first use, without those that no device has any more."""
    used = dict.fromkeys(plan.common.device_nodes)
    for _name, one in plan.devices:
        used.update(dict.fromkeys(one.device_nodes))
    known = {node.path: node for node in plan.nodes}
    return dataclasses.replace(plan, nodes=tuple(known[path] for path in used))
