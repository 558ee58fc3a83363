# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/verify.yml as a doctor: each finding is provoked on a host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import FOLDER, HOST, ROOT

pytestmark = pytest.mark.suites("trixie")

MACHINES = ROOT / "roles/simulated_gpu/files/machines"
ZOO = MACHINES / "zoo5.json"
Examine = Callable[..., tuple[dict[str, dict[str, Any]], str]]


@pytest.fixture(scope="module")
def examine(on_controller) -> Examine:
    """Run the playbook; return the findings of a host by id, and what was on the terminal."""

    def run(
        ok: bool, host: str = HOST, inventory: str = "-i inventory"
    ) -> tuple[dict[str, dict[str, Any]], str]:
        verdict = FOLDER / "verdict.json"
        verdict.unlink(missing_ok=True)
        more = f"-e gpufleet_verdict={verdict}"
        done = on_controller(f"ansible-playbook {inventory} gpufleet.nvidia.verify {more}", ok=ok)
        told = json.loads(verdict.read_text())
        assert told["ok"] is ok
        assert (done.returncode == 0) is ok
        return {one["id"]: one for one in told["hosts"][host]["findings"]}, done.stdout

    return run


@pytest.fixture
def load(on_host) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Make the demo host another machine, with the files of the driver that it has."""

    def run(machine: dict[str, Any]) -> None:
        write = ["docker", "exec", "-i", HOST, "sh", "-c", "cat >/root/machine.json"]
        subprocess.run(write, input=json.dumps(machine), text=True, check=True)
        on_host("simulated-gpu load /root/machine.json")

    yield run
    run(json.loads(ZOO.read_text()))


@pytest.fixture(scope="module", autouse=True)
def _well_again(on_host, on_controller) -> Iterator[None]:
    yield
    on_host("rm -rf /sys/module/nouveau /usr/bin/nvidia-ctk /usr/bin/nv-fabricmanager")
    on_host("systemctl start nvidia-docker-plugin.socket")
    on_controller("ansible-playbook -i inventory gpufleet.nvidia.simulated")
    on_controller("ansible-playbook -i inventory gpufleet.nvidia.site")


def test_a_host_that_is_well_passes(examine: Examine) -> None:
    """What is for information, or accepted in the inventory of the demo, stops nothing."""
    findings, shown = examine(True)
    # With the second version of control groups Docker's default makes one finding more.
    assert set(findings) - {"gpus_lost_on_reload"} == {"ecc_uncorrected", "persistence_off"}
    assert findings["ecc_uncorrected"]["accepted"]
    assert "no findings" in shown


def test_a_host_that_is_not_reached_is_a_finding(examine: Examine, tmp_path: Path) -> None:
    """The others are examined all the same."""
    more = tmp_path / "more.yml"
    more.write_text("gpus: {hosts: {nowhere: {ansible_host: 127.0.0.1, ansible_port: 9}}}\n")
    inventory = f"-i {more} -i inventory"
    findings, shown = examine(False, "nowhere", inventory)
    assert set(findings) == {"host_unreachable"}
    assert "nowhere: unreachable: " in shown
    assert f"{HOST} has findings" not in shown


def test_what_the_host_gives_to_containers(examine: Examine, on_host, facts) -> None:
    """The plugin is silent, the volume has lost a file, a container has lost its GPUs."""
    volume = "/var/lib/nvidia-docker/volumes/nvidia_driver/375.26"
    on_host("systemctl stop nvidia-docker-plugin.socket nvidia-docker-plugin.service")
    on_host(f"rm {volume}/bin/nvidia-smi && docker rename training away")
    findings, _shown = examine(False)
    assert {"plugin_silent", "driver_volume_wrong", "container_missing"} <= set(findings)
    assert "bin/nvidia-smi" in findings["driver_volume_wrong"]["message"]
    on_host("docker rename away training && systemctl start nvidia-docker-plugin.socket")
    findings, _shown = examine(False)
    assert "nvidia-smi" in findings["container_without_gpus"]["message"]
    assert "plugin_silent" not in findings
    on_host(f"ln /usr/bin/nvidia-smi {volume}/bin/")
    uuid = facts()["devices"][4]["uuid"]
    on_host("simulated-gpu set 4.uuid=GPU-00000000-0000-0000-0000-000000000000")
    findings, _shown = examine(False)
    assert "instead of" in findings["container_sees_others"]["message"]
    on_host(f"simulated-gpu set 4.uuid={uuid}")


def test_a_driver_that_was_updated_under_a_loaded_module(examine: Examine, load) -> None:
    machine = json.loads(ZOO.read_text())
    load({**machine, "module_version": "367.57"})
    findings, _shown = examine(False)
    assert "367.57" in findings["driver_mismatch"]["message"]
    load({"driver": machine["driver"], "cuda": machine["cuda"], "gpus": []})
    findings, _shown = examine(False)
    assert "no GPU" in findings["driver_unusable"]["message"]


def program(path: str, says: str) -> str:
    return f"printf '#!/bin/sh\\necho {says}\\n' >{path} && chmod 755 {path}"


@pytest.fixture(scope="module")
def sick(
    examine: Examine, on_host, on_controller, tmp_path_factory
) -> tuple[dict[str, dict[str, Any]], str]:
    """The findings of a host that has everything at once."""
    machine = json.loads((MACHINES / "h100x8.json").read_text())
    machine["nvswitches"] = 2
    memory, link, mig, lost = machine["gpus"][:4]
    memory |= {"remapped_pending": 1, "remapped_failed": 1, "retired_pending": 1, "ecc_mem": 1}
    memory |= {"ecc_mode": 1, "ecc_mode_pending": 0, "temp": 95, "temp_slowdown": 90}
    memory |= {"throttle_reasons": 0x40, "persistence": 0}
    link |= {"fabric_state": 1, "fabric_status": 0, "pcie_width_now": 4}
    mig |= {"mig_mode": 1, "mig_mode_pending": 0, "mig_max": 7, "migs": []}
    lost["handle"] = "err:15"
    path = tmp_path_factory.mktemp("machine") / "sick.json"
    path.write_text(json.dumps(machine))
    wanted = f"-e simulated_gpu_machine={path}"
    on_controller(f"ansible-playbook -i inventory gpufleet.nvidia.simulated {wanted}")
    on_host("rm /dev/nvidia0 && mkdir -p /sys/module/nouveau")
    on_host(program("/usr/bin/nvidia-ctk", "NVIDIA Container Toolkit CLI version 1.16.1"))
    on_host(program("/usr/bin/nv-fabricmanager", "Fabric Manager version is : 550.1"))
    return examine(False)


MEMORY, LINK, MIG, LOST = (
    "0000:19:00.0",
    "0000:3b:00.0",
    "0000:4c:00.0",
    "0000:5d:00.0",
)
SICK = {
    "device_node_missing": None,
    "driver_volume_wrong": None,
    "ecc_mode_pending": MEMORY,
    "ecc_uncorrected": MEMORY,
    "fabric_manager_stopped": None,
    "fabric_manager_version": None,
    "fabric_not_ready": LINK,
    "gpu_unreadable": LOST,
    "mig_mode_pending": MIG,
    "mig_without_devices": MIG,
    "nouveau_loaded": None,
    "overheated": MEMORY,
    "pcie_narrow": LINK,
    "persistence_off": MEMORY,
    "retired_pages_pending": MEMORY,
    "row_remapping_failed": MEMORY,
    "row_remapping_pending": MEMORY,
    "slowed_down": MEMORY,
    "toolkit_vulnerable": None,
}


@pytest.mark.parametrize(("name", "gpu"), SICK.items())
def test_a_sick_host_has_this_finding(sick, name: str, gpu: str | None) -> None:
    findings, shown = sick
    finding = findings[name]
    assert finding["gpu"] == gpu
    line = f"{HOST}: {finding['message']}: {finding['fix']}"
    # The terminal shows what has to be done.
    silent = finding["severity"] == "info" or finding["accepted"]
    assert (json.dumps(line, ensure_ascii=False)[1:-1] in shown) is not silent
