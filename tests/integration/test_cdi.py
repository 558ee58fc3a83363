# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module and role nvidia_cdi on a host with device nodes and NVML."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.suites("trixie")

FOLDER = "/run/cdi-test"
PATH = f"{FOLDER}/nvidia.json"
WRITTEN = "/var/run/cdi/nvidia.json"
"""By the role."""
LINKS = "/run/nvidia-docker-cdi/links/"
SERVICE = "nvidia-docker-cdi.service"
UNITS = "nvidia-docker-cdi.timer nvidia-docker-cdi.path nvidia-docker-cdi.service"


@pytest.fixture
def cdi(on_controller, on_host) -> Iterator[Callable[..., dict[str, Any]]]:
    """Run the module with a specification of its own, and return its result."""

    def run(options: str = "", **arguments: Any) -> dict[str, Any]:
        given = {"path": PATH, "spec_directories": [FOLDER], **arguments}
        line = "ansible -i inventory gpus -m nvidia_cdi -a {} {}"
        done = on_controller(line.format(shlex.quote(json.dumps(given)), options), ok=False)
        return json.loads(done.stdout.split("=>", 1)[1])

    yield run
    on_host(f"rm -rf {FOLDER}")


def test_a_specification_is_written_once_and_true(cdi, on_host, facts) -> None:
    """Check mode writes nothing; a second run has nothing to do; every path is there."""
    checked = cdi("--check")
    assert checked["changed"] is True
    assert on_host(f"test -e {FOLDER}", ok=False).returncode == 1
    made = cdi()
    again = cdi()
    assert (made["changed"], again["changed"]) == (True, False)
    told = facts()
    names = [name for gpu in told["devices"] for name in (str(gpu["index"]), gpu["uuid"])]
    assert made["devices"] == checked["devices"] == [f"nvidia.com/gpu={n}" for n in (*names, "all")]
    assert made["driver_version"] == told["driver"]["version"]
    spec = json.loads(on_host(f"cat {PATH}").stdout)
    sources = [mount["hostPath"] for mount in spec["containerEdits"]["mounts"]]
    nodes = [
        node
        for edits in (spec["containerEdits"], *(d["containerEdits"] for d in spec["devices"]))
        for node in edits["deviceNodes"]
    ]
    on_host("ls -d " + " ".join(sources))
    for node in {json.dumps(node) for node in nodes}:
        wanted = json.loads(node)
        numbers = on_host(f"stat -c '%Hr:%Lr %a' {wanted['path']}").stdout.split()
        assert numbers == [f"{wanted['major']}:{wanted['minor']}", f"{wanted['fileMode']:o}"]
    verified = cdi(state="verified")
    assert (verified["changed"], verified["problems"]) == (False, [])
    removed = cdi(state="absent")
    assert removed["changed"] is True
    assert on_host(f"ls {FOLDER}").stdout == ""


def test_what_is_not_true_any_more_is_named_and_mended(cdi, on_host) -> None:
    """Another number, another device: as after a reboot."""
    cdi()
    on_host(f'sed -i \'0,/"minor": 255/s//"minor": 77/\' {PATH}')
    stale = cdi(state="verified")
    assert "is not right: /dev/nvidiactl" in stale["msg"]
    assert stale["problems"] == [
        "/dev/nvidiactl, for every device: it is 195:255, the specification says 195:77: "
        "containers would get another device"
    ]
    assert cdi()["changed"] is True
    assert cdi(state="verified")["problems"] == []
    # A file is a difference too that no engine would mind.
    on_host(f'sed -i \'s/"rw"/"rwm"/\' {PATH}')
    assert "rwm) is no longer to be there" in cdi(state="verified")["msg"]


def test_another_file_with_the_same_devices_is_named(cdi, on_host) -> None:
    """Before anything is written."""
    on_host(f"mkdir -p {FOLDER}")
    text = (
        'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n    - name: "0"\n'
        "      containerEdits:\n        deviceNodes:\n            - path: /dev/nvidia0\n"
    )
    on_host(f"printf %s {shlex.quote(text)} > {FOLDER}/nvidia.yaml")
    refused = cdi()
    assert f"{FOLDER}/nvidia.yaml has nvidia.com/gpu=0 too" in refused["msg"]
    assert on_host(f"ls {FOLDER}").stdout == "nvidia.yaml\n"


def test_a_version_is_kept_to_and_not_beyond_the_engine(cdi, on_host) -> None:
    """0.3.0 has no names like 0; Docker 26 would not take 1.0.0, Docker 20.10 has no CDI."""
    low = cdi(cdi_version="0.3.0")
    assert low["cdi_version"] == "0.3.0"
    assert [name for name in low["devices"] if "=GPU-" not in name] == ["nvidia.com/gpu=all"]
    assert "names that start with a digit need CDI 0.5.0" in low["dropped"][0]
    before = on_host(f"cat {PATH}").stdout
    high = cdi(cdi_version="1.0.0")
    refuses = on_host("dockerd --version | grep -c 'version 26'", ok=False).stdout.strip() == "1"
    assert ("takes CDI specifications of up to version 0.7.0" in high.get("msg", "")) is refuses
    assert (on_host(f"cat {PATH}").stdout == before) is refuses


def test_nothing_is_written_without_nvidia_uvm(cdi, on_host) -> None:
    """The one node that is missing after a boot; the others stay as they are."""
    numbers = on_host("stat -c '%Hr %Lr' /dev/nvidia-uvm").stdout.strip()
    on_host("rm /dev/nvidia-uvm")
    try:
        refused = cdi()
        assert "missing device node /dev/nvidia-uvm" in refused["msg"]
        assert on_host(f"test -e {PATH}", ok=False).returncode == 1
    finally:
        on_host(f"mknod -m 666 /dev/nvidia-uvm c {numbers}")


def test_mig_devices_are_named_and_what_is_left_out_is_told(cdi, on_host, machine) -> None:
    """A change of MIG devices makes the specification stale; a GPU without node is a warning."""
    cdi()
    machine("a100_mig")
    stale = cdi(state="verified")
    assert any("is not on this machine" in one for one in stale["problems"])
    made = cdi()
    migs = [name for name in made["devices"] if "=MIG-" in name]
    assert migs
    assert "nvidia.com/gpu=1:0" in made["devices"]
    spec = json.loads(on_host(f"cat {PATH}").stdout)
    by_name = {
        device["name"]: device["containerEdits"]["deviceNodes"] for device in spec["devices"]
    }
    paths = [node["path"] for node in by_name["1:0"]]
    assert [path.rpartition("/")[0] for path in paths] == ["/dev", *["/dev/nvidia-caps"] * 2]
    numbers = on_host("stat -c '%Hr %Lr' /dev/nvidia0").stdout.strip()
    on_host("rm /dev/nvidia0")
    try:
        left = cdi()
        assert left["changed"] is True
        assert any("is left out" in one for one in left["left_out"])
        # NVML counts what it can open: the next GPU is 0 now.
        assert set(names_of("/dev/nvidia0", by_name)).isdisjoint(left["devices"])
    finally:
        on_host(f"mknod -m 666 /dev/nvidia0 c {numbers}")


def names_of(path: str, devices: dict[str, Any]) -> list[str]:
    """The devices that are called by UUID and have this node."""
    return [
        f"nvidia.com/gpu={name}"
        for name, nodes in devices.items()
        if name.startswith(("GPU-", "MIG-")) and path in [node["path"] for node in nodes]
    ]


@pytest.fixture(scope="module")
def role(on_controller, on_host) -> Iterator[Any]:
    """Run the role; in the end the host is without it again."""

    def run(**variables: Any):
        line = "ansible -i inventory gpus -m include_role -a name=gpufleet.nvidia.nvidia_cdi -e"
        return on_controller(f"{line} '{json.dumps(variables)}'")

    run()
    yield run
    if on_host(f"systemctl cat {SERVICE}", ok=False).returncode == 0:
        run(nvidia_cdi_state="absent")


def specification(on_host) -> dict[str, Any]:
    return json.loads(on_host(f"cat {WRITTEN}").stdout)


def wait_for(on_host, line: str, limit_s: float = 100) -> None:
    deadline = time.monotonic() + limit_s
    while on_host(line, ok=False).returncode != 0:
        assert time.monotonic() < deadline, on_host(f"journalctl -u {SERVICE} | tail").stdout
        time.sleep(0.5)


@pytest.mark.usefixtures("role")
def test_it_is_there_before_docker_starts(on_host) -> None:
    """As after a reboot, which empties /run: Docker starts, and finds it."""
    after = on_host("systemctl show --property=After --value docker.service").stdout.split()
    assert SERVICE in after
    assert on_host(f"systemctl is-enabled {UNITS}").stdout.split() == ["enabled"] * 3
    before = specification(on_host)
    on_host(f"systemctl stop docker docker.socket && rm -rf {WRITTEN} /run/nvidia-docker-cdi")
    on_host("systemctl start docker")
    assert specification(on_host) == before


@pytest.mark.usefixtures("role")
def test_make_install_gives_the_units_of_the_role(on_controller, on_host, tmp_path) -> None:
    """One source for both ways of installing; and they work as the page says."""
    on_controller(f"env -u MAKEFLAGS make -C ../../.. install PREFIX=/usr/local DESTDIR={tmp_path}")
    units = list((tmp_path / "etc/systemd/system").glob("nvidia-docker-cdi*"))
    assert len(units) == 4
    for unit in units:
        assert on_host(f"cat /etc/systemd/system/{unit.name}").stdout == unit.read_text()
    on_host(f"systemctl disable --now {UNITS} && rm {WRITTEN}")
    page = (Path(__file__).resolve().parents[2] / "docs/cdi.md").read_text()
    (line,) = re.findall("^systemctl enable .*", page, re.MULTILINE)
    on_host(line)
    assert on_host(f"systemctl is-enabled {UNITS}").stdout.split() == ["enabled"] * 3
    assert specification(on_host)["kind"] == "nvidia.com/gpu"


@pytest.mark.usefixtures("role")
def test_a_look_asks_no_gpu_and_a_lost_specification_is_made_again(on_host) -> None:
    """A look leaves the file as it is, whatever was touched."""
    on_host(f"systemctl start {SERVICE}")
    before = on_host(f"stat -c '%i %z' {WRITTEN}").stdout
    lines = on_host(f"journalctl -u {SERVICE} | wc -l").stdout
    on_host(f"systemctl start {SERVICE}")
    assert on_host(f"stat -c '%i %z' {WRITTEN}").stdout == before
    assert on_host(f"journalctl -u {SERVICE} | wc -l").stdout == lines
    on_host(f"rm {WRITTEN} && systemctl start {SERVICE}")
    assert specification(on_host)["kind"] == "nvidia.com/gpu"
    mounts = specification(on_host)["containerEdits"]["mounts"]
    (links,) = {one["hostPath"] for one in mounts if one["hostPath"].startswith(LINKS)}
    on_host(f"rm -r {links} && systemctl start {SERVICE}")
    assert "libcuda.so.1" in on_host(f"ls {links}").stdout.split()


@pytest.mark.usefixtures("role")
def test_it_stays_while_the_packages_are_newer_than_the_loaded_driver(on_host) -> None:
    """NVML answers nobody until the reboot, and the specification is still right."""
    loaded = "/sys/module/nvidia/version"
    version = on_host(f"cat {loaded}").stdout.strip()
    on_host(f"sed -i s/VERSION={version}/VERSION=370.01/ {WRITTEN}")
    on_host(f"chmod 644 {loaded} && echo 370.01 > {loaded}")
    before = on_host(f"cat {WRITTEN}").stdout
    try:
        on_host(f"systemctl start {SERVICE}")
        assert on_host(f"cat {WRITTEN}").stdout == before
        assert "stays, as it is for the loaded driver" in on_host(f"journalctl -u {SERVICE}").stdout
        on_host(f"sed -i s/VERSION=370.01/VERSION=360.01/ {WRITTEN}")
        assert on_host(f"systemctl start {SERVICE}", ok=False).returncode == 1
    finally:
        on_host(f"echo {version} > {loaded} && chmod 444 {loaded}")
        on_host(f"systemctl start {SERVICE}")
    assert f"GPUFLEET_DRIVER_VERSION={version}" in specification(on_host)["containerEdits"]["env"]


@pytest.mark.usefixtures("role")
def test_a_change_of_mig_devices_is_seen_by_itself(on_host, machine) -> None:
    """Their nodes wake the path unit; what happens meanwhile, the timer finds."""
    machine("a100_mig")
    wait_for(on_host, f"grep -q '\"MIG-' {WRITTEN}")
    machine("h100x8")
    wait_for(on_host, f"! grep -q '\"MIG-' {WRITTEN} && grep -q '\"7\"' {WRITTEN}")
    assert on_host(f"systemctl is-failed {SERVICE}", ok=False).returncode == 1


@pytest.mark.usefixtures("role")
def test_capability_nodes_that_come_and_go_are_seen_at_once(on_host) -> None:
    """Without the timer; of a MIG device that goes, the driver leaves the node."""
    started = f"systemctl show --value --property=ExecMainStartTimestampMonotonic {SERVICE}"
    node = "/dev/nvidia-caps/nvidia-cap999"
    on_host("mkdir -p /dev/nvidia-caps && systemctl stop nvidia-docker-cdi.timer")
    on_host("systemctl restart nvidia-docker-cdi.path")
    try:
        for change in (f"mknod {node} c 1 3", f"rm {node}"):
            # While the service runs, its path is not watched: the next look finds that.
            wait_for(on_host, f"test $(systemctl is-active {SERVICE}) = inactive")
            before = on_host(started).stdout.strip()
            on_host(change)
            wait_for(on_host, f"test $({started}) != {before}", limit_s=20)
    finally:
        on_host(f"rm -f {node}; systemctl start nvidia-docker-cdi.timer")


def test_absent_leaves_nothing_of_it(role, on_host) -> None:
    """Twice; the second time there is nothing to do."""
    role(nvidia_cdi_state="absent")
    left = f"ls -d {WRITTEN} /etc/systemd/system/nvidia-docker-cdi*[a-z]"
    assert on_host(f"{left} | grep -v service.d$", ok=False).stdout == ""
    assert on_host(f"systemctl is-active {UNITS}", ok=False).stdout.split() == ["inactive"] * 3
    assert "CHANGED" not in role(nvidia_cdi_state="absent").stdout
