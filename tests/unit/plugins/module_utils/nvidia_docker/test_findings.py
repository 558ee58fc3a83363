# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""findings.py: each finding is provoked, and a host that is well has none."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.facts import (
    DeviceFacts,
    HostFacts,
    KernelFacts,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.findings import (
    findings,
    state,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    UnreadableDevice,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.subset_facts import (
    DeviceCondition,
    DockerEngine,
    FabricManager,
    Services,
)
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_facts

PLUGINS = Path(nvidia_facts.__file__).parents[1]

WELL = DeviceCondition(
    ecc_uncorrected_volatile=0,
    ecc_corrected_volatile=4,
    ecc_enabled=True,
    ecc_pending=True,
    retired_pages_single_bit=2,
    retired_pages_pending=False,
    remapped_rows_corrected=1,
    remapped_rows_pending=False,
    remapped_rows_failed=False,
    temperature_celsius=88,
    temperature_slowdown_celsius=89,
    throttle_reasons=("gpu_idle", "sw_power_cap"),
    persistence_mode=True,
    pcie_width=16,
    pcie_max_width=16,
    fabric_state="completed",
    fabric_error=0,
)
SERVICES = Services(
    toolkit_version="1.19.1",
    docker=DockerEngine("26.1.5", "systemd", "2", "runc", ()),
    fabric_manager=FabricManager("375.26", True, 4),
    persistenced_running=True,
)
GPU = "0000:04:00.0"


@pytest.fixture
def well(host) -> HostFacts:
    """A host on which nothing is wrong."""
    return HostFacts(
        gathered=("min", "health"),
        host=host,
        libraries_match=True,
        kernel=KernelFacts("open", ("nvidia",), False),
        device_nodes=(),
        devices={device.uuid: DeviceFacts(condition=WELL) for device in host.devices},
        services=SERVICES,
    )


def told(facts: HostFacts) -> list[tuple[str, str, str | None]]:
    return [(one.id, one.severity, one.gpu) for one in findings(facts)]


def test_a_host_that_is_well_has_no_findings(well) -> None:
    """Corrected errors, remapped rows and a power cap are what happens to a GPU in its life."""
    assert told(well) == []


def test_what_was_not_looked_at_is_not_wrong(well) -> None:
    blind = DeviceFacts(condition=DeviceCondition())
    devices = dict.fromkeys(well.devices, blind)
    nothing = Services(None, None, None, False)
    assert told(dataclasses.replace(well, devices=devices, services=nothing)) == []
    assert told(dataclasses.replace(well, devices={}, services=None)) == []


OF_GPUS = [
    ({"ecc_uncorrected_volatile": 1}, "ecc_uncorrected", "critical"),
    ({"remapped_rows_failed": True}, "row_remapping_failed", "critical"),
    ({"remapped_rows_pending": True}, "row_remapping_pending", "warning"),
    ({"retired_pages_pending": True}, "retired_pages_pending", "warning"),
    ({"ecc_pending": False}, "ecc_mode_pending", "info"),
    ({"temperature_celsius": 89}, "overheated", "warning"),
    ({"throttle_reasons": ("hw_slowdown",)}, "slowed_down", "warning"),
    ({"throttle_reasons": ("hw_power_brake_slowdown",)}, "slowed_down", "warning"),
    ({"pcie_width": 8}, "pcie_narrow", "warning"),
    ({"fabric_state": "not_started", "fabric_error": None}, "fabric_not_ready", "critical"),
    ({"fabric_state": "in_progress", "fabric_error": None}, "fabric_not_ready", "critical"),
    ({"fabric_error": 999}, "fabric_not_ready", "critical"),
    ({"persistence_mode": False}, "persistence_off", "info"),
    ({"errors": ("temperature: GPU is lost",)}, "gpu_errors", "critical"),
    ({"errors": ("temperature: GPU requires reset",)}, "gpu_errors", "critical"),
    ({"errors": ("temperature: Unknown Error",)}, "gpu_errors", "warning"),
]


@pytest.mark.parametrize(("change", "name", "severity"), OF_GPUS)
def test_a_gpu(change, name, severity, well) -> None:
    first = well.host.devices[0]
    sick = DeviceFacts(condition=dataclasses.replace(WELL, **change))
    facts = dataclasses.replace(well, devices={**well.devices, first.uuid: sick})
    assert told(facts) == [(name, severity, GPU)]
    found = findings(facts)
    assert state(GPU, found) == (severity if severity != "info" else "ok")
    assert state("0000:07:00.0", found) == "ok"
    assert found[0].message.startswith(f"GPU {GPU} ")
    assert found[0].fix


OF_SERVICES = [
    ({"toolkit_version": "1.17.3"}, "toolkit_vulnerable", "warning", "1.19.1"),
    (
        {"docker": DockerEngine("26.1.5", "systemd", "2", "runc", (), ("notebook",))},
        "gpus_lost_on_reload",
        "warning",
        "cgroup driver to cgroupfs",
    ),
    (
        {"fabric_manager": FabricManager("375.26", False, 4)},
        "fabric_manager_stopped",
        "critical",
        "enable --now nvidia-fabricmanager",
    ),
    (
        {"fabric_manager": FabricManager(None, False, 4)},
        "fabric_manager_stopped",
        "critical",
        "install nvidia-fabricmanager 375.26",
    ),
    (
        {"fabric_manager": FabricManager("375.39", True, 4)},
        "fabric_manager_version",
        "critical",
        "install nvidia-fabricmanager 375.26",
    ),
]


@pytest.mark.parametrize(("change", "name", "severity", "fix"), OF_SERVICES)
def test_a_service(change, name, severity, fix, well) -> None:
    facts = dataclasses.replace(well, services=dataclasses.replace(SERVICES, **change))
    assert told(facts) == [(name, severity, None)]
    assert fix in findings(facts)[0].fix


def test_containers_that_lose_their_gpus_are_named(well) -> None:
    def message(*names: str) -> str:
        docker = DockerEngine("26.1.5", "systemd", "2", "runc", (), names)
        services = dataclasses.replace(SERVICES, docker=docker)
        return findings(dataclasses.replace(well, services=services))[0].message

    assert message("a", "b").endswith("'systemctl daemon-reload': a, b")
    assert message(*"abcde").endswith(": a, b, c, d, e")
    assert message(*"abcdef").endswith(": a, b, c, d and 2 more")


def test_what_is_no_risk(well) -> None:
    """Containers that name their device nodes; without NVSwitches a fabric manager has no work."""
    services = dataclasses.replace(
        SERVICES,
        docker=DockerEngine("20.10.24", "systemd", "1", "runc", ("/dev/nvidia0",)),
        fabric_manager=FabricManager("375.39", False, 0),
    )
    assert told(dataclasses.replace(well, services=services)) == []


def test_nouveau(well) -> None:
    facts = dataclasses.replace(well, kernel=KernelFacts(None, (), True))
    assert told(facts) == [("nouveau_loaded", "critical", None)]


LOST = UnreadableDevice(4, "0000:83:00.0", "NVML can't tell the name: GPU is lost")
OF_HOSTS = [
    ({"unreadable": (LOST,)}, [("gpu_unreadable", "critical", "0000:83:00.0")]),
    ({"unreadable": (UnreadableDevice(4, None, "x"),)}, [("gpu_unreadable", "critical", "4")]),
    ({"missing_nodes": ("/dev/nvidia-uvm",)}, [("device_node_missing", "critical", None)]),
    ({"reason": "no driver", "devices": ()}, [("driver_unusable", "critical", None)]),
    (
        {"reason": LOST.reason, "devices": (), "unreadable": (LOST,)},
        [("gpu_unreadable", "critical", "0000:83:00.0")],
    ),
]


@pytest.mark.parametrize(("change", "wanted"), OF_HOSTS)
def test_a_host(change, wanted, well) -> None:
    assert told(dataclasses.replace(well, host=dataclasses.replace(well.host, **change))) == wanted


def test_a_driver_of_two_versions(well) -> None:
    """One finding, also where NVML does not start because of it."""
    facts = dataclasses.replace(well, libraries_match=False)
    assert told(facts) == [("driver_mismatch", "critical", None)]
    host = dataclasses.replace(well.host, reason="different versions", devices=())
    assert told(dataclasses.replace(facts, host=host)) == [("driver_mismatch", "critical", None)]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"mig_pending": True}, "mig_mode_pending"),
        ({"mig_enabled": True, "mig_pending": True}, "mig_without_devices"),
    ],
)
def test_mig(change, name, well) -> None:
    first, *others = well.host.devices
    devices = (dataclasses.replace(first, **change), *others)
    facts = dataclasses.replace(well, host=dataclasses.replace(well.host, devices=devices))
    assert told(facts) == [(name, "warning", GPU)]


def test_the_worst_is_first(well) -> None:
    first, second, *_others = well.host.devices
    devices = {
        first.uuid: DeviceFacts(condition=dataclasses.replace(WELL, persistence_mode=False)),
        second.uuid: DeviceFacts(condition=dataclasses.replace(WELL, remapped_rows_failed=True)),
    }
    facts = dataclasses.replace(
        well, devices=devices, services=dataclasses.replace(SERVICES, toolkit_version="1.16.1")
    )
    assert [one.severity for one in findings(facts)] == ["critical", "warning", "info"]


def named(path: str) -> set[str]:
    """Ids of the findings that a file of the plugins makes, where they are written down."""
    calls = [one for one in ast.walk(ast.parse((PLUGINS / path).read_text())) if made(one)]
    words = {one.args[0].value for one in calls if isinstance(one.args[0], ast.Constant)}
    return words - {"critical"}


def made(node: ast.AST) -> bool:
    names = ("Finding", "_critical")
    return isinstance(node, ast.Call) and getattr(node.func, "id", None) in names


def test_each_finding_is_documented() -> None:
    """In RETURN of nvidia_facts, and with those of the doctor in docs/health.md."""
    of_facts = named("module_utils/nvidia_docker/findings.py")
    assert "gpus_lost_on_reload" in of_facts
    told = yaml.safe_load(nvidia_facts.RETURN)["ansible_facts"]["contains"]["ansible_nvidia"]
    words = " ".join(told["contains"]["findings"]["contains"]["id"]["description"])
    assert set(re.findall(r"C\((\w+)\)", words)) == of_facts
    table = (PLUGINS.parent / "docs/health.md").read_text().partition("| id |")[2]
    first = [row.split("|")[1] for row in table.partition("\n\n")[0].splitlines()[2:]]
    everything = of_facts | named("plugin_utils/doctor.py")
    assert set(re.findall(r"`(\w+)`", " ".join(first))) == everything
