# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/verify.yml as a doctor: each finding is provoked on a host."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import FOLDER, HOST, ROOT

MACHINES = ROOT / "roles/simulated_gpu/files/machines"
ZOO = MACHINES / "zoo5.json"
VOLUME = "/var/lib/nvidia-docker/volumes/nvidia_driver/375.26"
Findings = dict[str, dict[str, Any]]
"""Of a host, by id."""
Examine = Callable[..., tuple[dict[str, Findings], str]]


@pytest.fixture(scope="module")
def examine(on_controller) -> Examine:
    """Run the playbook; return the findings by host and id, and what was on the terminal."""

    def run(ok: bool, inventory: str = "-i inventory") -> tuple[dict[str, Findings], str]:
        verdict = FOLDER / "verdict.json"
        verdict.unlink(missing_ok=True)
        more = f"-e gpufleet_verdict={verdict}"
        done = on_controller(f"ansible-playbook {inventory} gpufleet.nvidia.verify {more}", ok=ok)
        told = json.loads(verdict.read_text())
        assert told["ok"] is ok
        assert (done.returncode == 0) is ok
        found = {
            host: {one["id"]: one for one in host_verdict["findings"]}
            for host, host_verdict in told["hosts"].items()
        }
        return found, done.stdout

    return run


@pytest.fixture(scope="module")
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
    on_host(
        "docker rm -f notebook; test ! -e /root/daemon.json || "
        "{ mv /root/daemon.json /etc/docker/daemon.json; systemctl restart docker; }",
        ok=False,
    )
    on_host("systemctl start nvidia-docker-plugin.socket")
    on_controller("ansible-playbook -i inventory gpufleet.nvidia.simulated")
    on_controller("ansible-playbook -i inventory gpufleet.nvidia.site")


def test_a_host_that_is_well_passes(examine: Examine) -> None:
    """What is for information, or accepted in the inventory of the demo, stops nothing."""
    found, shown = examine(True)
    # An old runc on a machine with the second version of control groups makes one finding more.
    assert set(found[HOST]) - {"gpus_lost_on_reload"} == {"ecc_uncorrected", "persistence_off"}
    assert found[HOST]["ecc_uncorrected"]["accepted"]
    assert "no findings" in shown


@pytest.fixture(scope="module")
def not_read(examine: Examine, tmp_path_factory) -> tuple[dict[str, Findings], str]:
    """Beside the demo's host, one that is not there, and one without the Python that it names."""
    more = tmp_path_factory.mktemp("inventory") / "more.yml"
    more.write_text(
        "gpus: {hosts: {nowhere: {ansible_host: 127.0.0.1, ansible_port: 9}, snakeless: "
        "{ansible_connection: local, ansible_python_interpreter: /usr/bin/python9}}}\n"
    )
    return examine(False, f"-i {more} -i inventory")


def test_hosts_that_are_not_read_are_findings(not_read) -> None:
    """The others are examined all the same."""
    found, shown = not_read
    assert set(found["nowhere"]) == {"host_unreachable"}
    assert "nowhere: unreachable: " in shown
    assert set(found["snakeless"]) == {"facts_unreadable"}
    assert "/usr/bin/python9" in found["snakeless"]["facts_unreadable"]["message"]
    assert "snakeless: no facts: " in shown
    assert f"{HOST} has findings" not in shown


HALF = """import http.server
class Half(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"--device=/dev/nvidia0 --device=/dev/nvidia1 --device=/dev/nvidia2 "
            b"--device=/dev/nvidia4 --volume=nvidia_driver_1.0:/usr/local/nvidia:ro")
http.server.HTTPServer(("127.0.0.1", 3476), Half).serve_forever()
"""
"""A plugin that knows of four GPUs of five and of another driver."""


@pytest.fixture(scope="module")
def given(examine: Examine, on_host, facts) -> list[Findings]:
    """The plugin is silent, the volume has lost a file, a container is not there; then the plugin
    tells half, and the container has lost nvidia-smi; then the container sees another GPU."""
    on_host("systemctl stop nvidia-docker-plugin.socket nvidia-docker-plugin.service")
    on_host(f"rm {VOLUME}/bin/nvidia-smi && docker rename training away")
    silent = examine(False)[0][HOST]
    write = ["docker", "exec", "-i", HOST, "sh", "-c", "cat >/root/half.py"]
    subprocess.run(write, input=HALF, text=True, check=True)
    on_host("systemd-run --unit=half-a-plugin --collect python3 /root/half.py")
    on_host("docker rename away training")
    half = examine(False)[0][HOST]
    on_host("systemctl stop half-a-plugin && systemctl start nvidia-docker-plugin.socket")
    on_host(f"ln /usr/bin/nvidia-smi {VOLUME}/bin/")
    uuid = facts()["devices"][4]["uuid"]
    on_host("simulated-gpu set 4.uuid=GPU-00000000-0000-0000-0000-000000000000")
    other = examine(False)[0][HOST]
    on_host(f"simulated-gpu set 4.uuid={uuid}")
    return [silent, half, other]


def test_what_the_host_gives_to_containers(given: list[Findings]) -> None:
    silent, half, other = given
    assert {"plugin_silent", "driver_volume_wrong", "container_missing"} <= set(silent)
    assert "bin/nvidia-smi" in silent["driver_volume_wrong"]["message"]
    assert "nvidia-smi" in half["container_without_gpus"]["message"]
    assert "plugin_silent" not in half
    said = half["plugin_incomplete"]["message"]
    assert "--device=/dev/nvidia3 --volume=nvidia_driver_375.26:/usr/local/nvidia:ro" in said
    assert "instead of" in other["container_sees_others"]["message"]
    assert not {"plugin_silent", "plugin_incomplete", "driver_volume_wrong"} & set(other)


@pytest.fixture(scope="module")
def updated(examine: Examine, load) -> list[Findings]:
    """A driver that was updated under a loaded module; then a driver that finds no GPU."""
    machine = json.loads(ZOO.read_text())
    load({**machine, "module_version": "367.57"})
    mismatch = examine(False)[0][HOST]
    load({"driver": machine["driver"], "cuda": machine["cuda"], "gpus": []})
    unusable = examine(False)[0][HOST]
    # So that containers can be started again.
    load(machine)
    return [mismatch, unusable]


def test_a_driver_that_was_updated_under_a_loaded_module(updated: list[Findings]) -> None:
    mismatch, unusable = updated
    assert "367.57" in mismatch["driver_mismatch"]["message"]
    assert "no GPU" in unusable["driver_unusable"]["message"]


def program(path: str, says: str) -> str:
    return f"printf '#!/bin/sh\\necho {says}\\n' >{path} && chmod 755 {path}"


@pytest.fixture(scope="module")
def sick(examine: Examine, on_host, on_controller, tmp_path_factory) -> tuple[Findings, str]:
    """The findings of a host that has everything at once."""
    machine = json.loads((MACHINES / "h100x8.json").read_text())
    machine["nvswitches"] = 2
    memory, link, mig, lost, silent = machine["gpus"][:5]
    memory |= {"remapped_pending": 1, "remapped_failed": 1, "retired_pending": 1, "ecc_mem": 1}
    memory |= {"ecc_mode": 1, "ecc_mode_pending": 0, "temp": 95, "temp_slowdown": 90}
    memory |= {"throttle_reasons": 0x40, "persistence": 0}
    link |= {"fabric_state": 1, "fabric_status": 0, "pcie_width_now": 4}
    mig |= {"mig_mode": 1, "mig_mode_pending": 0, "mig_max": 7, "migs": []}
    lost["handle"] = "err:15"
    silent["temp"] = "err:999"
    path = tmp_path_factory.mktemp("machine") / "sick.json"
    path.write_text(json.dumps(machine))
    wanted = f"-e simulated_gpu_machine={path}"
    # Before, as a container that starts has Docker make the driver volume.
    on_host(NOTEBOOK)
    on_controller(f"ansible-playbook -i inventory gpufleet.nvidia.simulated {wanted}")
    on_host("rm /dev/nvidia0 && mkdir -p /sys/module/nouveau")
    on_host(program("/usr/bin/nvidia-ctk", "NVIDIA Container Toolkit CLI version 1.16.1"))
    on_host(program("/usr/bin/nv-fabricmanager", "Fabric Manager version is : 550.1"))
    found, shown = examine(False)
    return found[HOST], shown


NOTEBOOK = """
set -e
cp /etc/docker/daemon.json /root/daemon.json
python3 - <<'END'
import json
path = "/etc/docker/daemon.json"
config = json.load(open(path))
config["runtimes"] = {"nvidia": {"path": "runc"}}
config["exec-opts"] = ["native.cgroupdriver=systemd"]
json.dump(config, open(path, "w"))
END
systemctl restart docker
docker start training
docker run -d --name notebook --runtime nvidia -e NVIDIA_VISIBLE_DEVICES=all gpufleet/cuda:8.0 \
  sleep infinity
"""
"""A container whose GPUs come from a hook, for all that Docker knows."""

MEMORY, LINK, MIG, LOST, SILENT = (
    "0000:19:00.0",
    "0000:3b:00.0",
    "0000:4c:00.0",
    "0000:5d:00.0",
    "0000:9b:00.0",
)
SICK = {
    "device_node_missing": None,
    "driver_volume_wrong": None,
    "ecc_mode_pending": MEMORY,
    "ecc_uncorrected": MEMORY,
    "fabric_manager_stopped": None,
    "fabric_manager_version": None,
    "fabric_not_ready": LINK,
    "gpu_errors": SILENT,
    "gpu_unreadable": LOST,
    "gpus_lost_on_reload": None,
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


def test_whose_gpus_a_reload_takes(sick, on_host) -> None:
    """With cgroup driver systemd: from the container with a hook, and from the other one where runc
    is too old. No driver is behind its device nodes, but it may open them."""
    findings, _shown = sick
    opened = "docker exec training sh -c 'exec 3</dev/nvidia1'"
    assert "No such device or address" in on_host(opened, ok=False).stderr
    on_host("systemctl daemon-reload")
    after = on_host(opened, ok=False).stderr
    lost = ", training" if "Operation not permitted" in after else ""
    message = findings["gpus_lost_on_reload"]["message"]
    assert message.endswith(f": notebook{lost}")


def test_each_finding_was_provoked(not_read, given, updated, sick) -> None:
    """Those of the documentation, which are those of the code (test_findings.py)."""
    hosts = [*not_read[0].values(), *given, *updated, sick[0]]
    table = (ROOT / "docs/health.md").read_text().partition("| id |")[2].partition("\n\n")[0]
    documented = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert {name for found in hosts for name in found} == set(
        re.findall(r"[a-z_]+", " ".join(documented))
    )
