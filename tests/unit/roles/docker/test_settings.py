# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What role docker wants in daemon.json: from the host's facts, and beside what the file says."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROLE = Path(__file__).resolve().parents[4] / "roles" / "docker"
LOGGING = {"log-driver": "json-file", "log-opts": {"max-size": "50m", "max-file": "3"}}
SHM = {"default-shm-size": "1G"}
CDI = {"features": {"cdi": True}}
CDI_DIRECTORIES = {"cdi-spec-dirs": ["/etc/cdi", "/var/run/cdi"]}
NVIDIA = {"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}
ALWAYS = {**SHM, **LOGGING}
TOOLKIT = "/usr/bin/nvidia-container-runtime"
DOCKER_CE = "/usr/bin/dockerd"
DOCKER_IO = ["/usr/sbin/dockerd", "/var/lib/dpkg/info/docker.io.md5sums"]
CGROUP_2 = "/sys/fs/cgroup/cgroup.controllers"


@pytest.fixture(scope="module")
def evaluator() -> Iterator[subprocess.Popen[str]]:
    """The process that evaluates expressions with the role's variables."""
    command = [sys.executable, str(Path(__file__).with_name("evaluate.py")), str(ROLE)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.communicate()


@pytest.fixture
def role(evaluator):
    """Return what evaluates an expression of the role on such a host."""

    def on(
        engine: str | None = "20.10",
        file: dict[str, Any] | None = None,
        there: tuple[str, ...] | list[str] = (),
        gpus: list[dict[str, Any]] | None = None,
        release: str = "12",
        **given: Any,
    ) -> Callable[[str], Any]:
        facts = {"distribution": "Debian", "distribution_major_version": release}
        before = "" if file is None else json.dumps(file)
        variables = {
            "ansible_facts": {**facts, "nvidia": {"devices": gpus or []}},
            "docker__asked": {"engine_version": engine, "diff": {"before": before}},
            "docker__looked": {"stdout_lines": list(there)},
            **given,
        }

        def evaluate(expression: str) -> Any:
            evaluator.stdin.write(json.dumps([variables, expression]) + "\n")
            evaluator.stdin.flush()
            return json.loads(evaluator.stdout.readline())

        return evaluate

    return on


def gpu(uuid: str | None, *mig: str, enabled: bool | None = False) -> dict[str, Any]:
    devices = [{"uuid": one} for one in mig]
    return {"uuid": uuid, "mig_enabled": bool(mig) or enabled, "mig_devices": devices}


ENGINES = [
    (None, ALWAYS),
    ("20.10", ALWAYS),
    ("24.0", ALWAYS),
    ("25.0", {**CDI, **ALWAYS}),
    ("26.1", {**CDI, **ALWAYS}),
    ("28.1", {**CDI, **ALWAYS}),
    ("28.2", ALWAYS),
    ("29.0", ALWAYS),
]


@pytest.mark.parametrize(("engine", "wanted"), ENGINES)
def test_an_engine_gets_what_it_knows(engine, wanted, role) -> None:
    assert role(engine)("docker__config") == wanted


FILES = [
    ({"log-driver": "journald"}, {**CDI, **SHM}),
    ({"log-opts": {"max-size": "1g"}}, {**CDI, **SHM}),
    ({"default-shm-size": "8G"}, {**CDI, **LOGGING}),
    ({"features": {"cdi": False}}, ALWAYS),
    ({"features": {"buildkit": True}}, {**CDI, **ALWAYS}),
    ({"features": None}, {**CDI, **ALWAYS}),
    ({"cdi-spec-dirs": None}, {**CDI, **ALWAYS, **CDI_DIRECTORIES}),
    ({"cdi-spec-dirs": ["/opt/cdi"]}, {**CDI, **ALWAYS, **CDI_DIRECTORIES}),
    # A type that Docker refuses is not this template's to judge: the module names it.
    ({"features": ["cdi"], "runtimes": "x", "log-driver": 1}, SHM),
]


@pytest.mark.parametrize(("file", "wanted"), FILES)
def test_what_the_file_says_is_left_to_it(file, wanted, role) -> None:
    assert role("26.1", file)("docker__config") == wanted


def test_a_second_run_wants_nothing_more(role) -> None:
    """Whatever the first one has put into the file."""
    given = {"docker_unlimited_memlock": True, "docker_proxies": {"no-proxy": "a"}}
    first = role("26.1", there=[TOOLKIT], **given)("docker__config")
    second = role("26.1", first, there=[TOOLKIT], **given)("docker__config")
    assert second == {"proxies": {"no-proxy": "a"}}


def test_docker_daemon_config_goes_over_the_template(role) -> None:
    wanted = {"log-opts": {"max-file": "9"}, "features": {"cdi": False}, "debug": True}
    config = role("26.1", docker_daemon_config=wanted)("docker__config")
    assert config["log-opts"] == {"max-size": "50m", "max-file": "9"}
    assert (config["features"], config["debug"]) == ({"cdi": False}, True)


RUNTIMES = [
    ([], {}, {}),
    ([TOOLKIT], {}, NVIDIA),
    (["/usr/local/bin/nvidia-container-runtime"], {}, NVIDIA),
    ([TOOLKIT], {"runtimes": {"kata": {}}}, NVIDIA),
    # As nvidia-ctk writes it, and as somebody wants it.
    ([TOOLKIT], {"runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}}, {}),
    ([TOOLKIT], {"runtimes": {"nvidia": {"path": "/opt/x", "runtimeArgs": ["--debug"]}}}, {}),
]


@pytest.mark.parametrize(("there", "file", "wanted"), RUNTIMES)
def test_the_runtime_of_an_installed_toolkit(there, file, wanted, role) -> None:
    assert role("20.10", file, there)("docker__config") == {**wanted, **ALWAYS}


RESOURCES = [
    ([], {}, []),
    ([gpu("GPU-a"), gpu("GPU-b")], {}, ["NVIDIA-GPU=GPU-a", "NVIDIA-GPU=GPU-b"]),
    # A GPU in MIG mode is used by its devices, or not at all; one that does not tell is left out.
    ([gpu("GPU-a", "MIG-1", "MIG-2"), gpu(None)], {}, ["NVIDIA-GPU=MIG-1", "NVIDIA-GPU=MIG-2"]),
    ([gpu("GPU-a", enabled=True)], {}, []),
    ([gpu("GPU-a", enabled=None)], {}, ["NVIDIA-GPU=GPU-a"]),
    # The module keeps other kinds, and drops GPUs of this kind that went.
    ([gpu("GPU-b")], {"node-generic-resources": ["NVIDIA-GPU=GPU-a"]}, ["NVIDIA-GPU=GPU-b"]),
]


@pytest.mark.parametrize(("gpus", "file", "wanted"), RESOURCES)
def test_swarm_is_told_of_gpus_by_their_full_uuid(gpus, file, wanted, role) -> None:
    config = role("20.10", file, gpus=gpus, docker_gpu_resource="NVIDIA-GPU")("docker__config")
    assert config.get("node-generic-resources", []) == wanted


def test_swarm_is_not_told_of_gpus_unasked(role) -> None:
    assert role("20.10", gpus=[gpu("GPU-a")])("docker__config") == ALWAYS


MEMLOCK = {"memlock": {"Name": "memlock", "Hard": -1, "Soft": -1}}
LIMITED = {"memlock": {"Name": "memlock", "Hard": 9, "Soft": 9}}
LIMITS = [
    ({}, MEMLOCK),
    ({"default-ulimits": {"stack": {}}}, MEMLOCK),
    ({"default-ulimits": LIMITED}, None),
]


@pytest.mark.parametrize(("file", "wanted"), LIMITS)
def test_memory_may_be_locked_where_it_is_wanted(file, wanted, role) -> None:
    config = role("20.10", file, docker_unlimited_memlock=True)("docker__config")
    assert config.get("default-ulimits") == wanted
    assert "default-ulimits" not in role("20.10", file)("docker__config")


PROXIES = {"https-proxy": "http://user:p%40ss@proxy:3128", "no-proxy": "localhost,10.0.0.0/8"}


@pytest.mark.parametrize(
    ("engine", "in_file", "in_unit"),
    [("20.10", None, PROXIES), (None, None, PROXIES), ("23.0", PROXIES, {}), ("28.2", PROXIES, {})],
)
def test_proxies_are_where_the_engine_looks(engine, in_file, in_unit, role) -> None:
    evaluate = role(engine, docker_proxies=PROXIES)
    assert evaluate("docker__config").get("proxies") == in_file
    assert evaluate("docker__proxies_in_unit") == in_unit


def test_a_unit_s_environment_is_what_was_given(role) -> None:
    """systemd takes quotes and backslashes away, and makes one of two percent signs."""
    given = {"http-proxy": 'http://user:p%40"\\@proxy:3128'}
    evaluate = role("20.10", docker_proxies=given)
    text = evaluate("lookup('ansible.builtin.template', 'gpufleet-proxy.conf.j2')")
    (line,) = [line for line in text.splitlines() if line.startswith("Environment=")]
    (setting,) = shlex.split(line.removeprefix("Environment="))
    assert setting.replace("%%", "%") == f"HTTP_PROXY={given['http-proxy']}"
    assert "%4" not in line.replace("%%", "")


BOTH = ["docker.io", "python3-requests"]
PACKAGES = [
    ([], "12", BOTH),
    ([], "13", [*BOTH, "docker-cli"]),
    (DOCKER_IO, "13", [*BOTH, "docker-cli"]),
    ([DOCKER_CE], "12", ["python3-requests"]),
    ([DOCKER_CE], "13", ["python3-requests"]),
    (["/usr/sbin/dockerd"], "12", ["python3-requests"]),
]


@pytest.mark.parametrize(("there", "release", "wanted"), PACKAGES)
def test_an_engine_of_another_source_stays(there, release, wanted, role) -> None:
    assert role(there=there, release=release)("docker__packages") == wanted


SYSTEMD = {"exec-opts": ["native.cgroupdriver=systemd"]}
CGROUPFS = {"exec-opts": ["native.cgroupdriver=cgroupfs"]}
DRIVERS = [
    ({}, [], {}, "cgroupfs"),
    ({}, [CGROUP_2], {}, "systemd"),
    (SYSTEMD, [], {}, "systemd"),
    (CGROUPFS, [CGROUP_2], {}, "cgroupfs"),
    ({}, [CGROUP_2], CGROUPFS, "cgroupfs"),
    (SYSTEMD, [], CGROUPFS, "cgroupfs"),
    (SYSTEMD, [], {"exec-opts": ["native.umask=normal"]}, "systemd"),
    ({"exec-opts": [*CGROUPFS["exec-opts"], *SYSTEMD["exec-opts"]]}, [], {}, "cgroupfs"),
]


@pytest.mark.parametrize(("file", "there", "given", "driver"), DRIVERS)
def test_the_cgroup_driver_is_known(file, there, given, driver, role) -> None:
    evaluate = role("26.1", file, there, docker_daemon_config=given)
    assert evaluate("docker__cgroup_driver") == driver


@pytest.mark.parametrize(
    ("file", "there", "by_hooks"),
    [({}, [], False), ({}, [TOOLKIT], True), ({"runtimes": {"nvidia": {"path": "x"}}}, [], True)],
)
def test_it_is_known_whether_hooks_may_give_gpus(file, there, by_hooks, role) -> None:
    assert role("26.1", file, there)("docker__gpus_by_hooks") is by_hooks


@pytest.mark.parametrize("text", ["", " \n", "null\n", "{}"])
def test_a_file_that_says_nothing(text, role) -> None:
    asked = {"engine_version": "20.10", "diff": {"before": text}}
    assert role(docker__asked=asked)("docker__config") == ALWAYS


def test_a_value_with_quotes_is_one_value(role) -> None:
    resource = {"docker_gpu_resource": 'a"b', "gpus": [gpu("GPU-a")]}
    proxies = {"docker_proxies": {"http-proxy": 'http://"x": 1}'}}
    config = role("26.1", **resource, **proxies)("docker__config")
    assert config["node-generic-resources"] == ['a"b=GPU-a']
    assert config["proxies"] == {"http-proxy": 'http://"x": 1}'}


INFO = "/var/lib/dpkg/info"
BOTH = [f"{INFO}/docker.io.md5sums", f"{INFO}/python3-requests.md5sums"]


@pytest.mark.parametrize(
    ("there", "packages", "release", "missing"),
    [
        ([], ["docker.io"], "12", ["docker.io"]),
        (BOTH, ["docker.io", "python3-requests"], "12", []),
        (BOTH, ["docker.io", "python3-requests"], "13", ["docker-cli"]),
        (BOTH, ["docker.io=20.10*"], "12", []),
        ([DOCKER_CE], ["docker.io", "jq"], "13", ["jq"]),
    ],
)
def test_packages_are_listed_only_when_one_is_missing(
    role, there, packages, release, missing
) -> None:
    """A converged host costs no run for that, one with an engine of another source neither."""
    on = role(there=there, release=release, docker_packages=packages)
    assert on("docker__missing") == [f"{INFO}/{name}.md5sums" for name in missing]
    assert set(BOTH[:1]) & set(there) <= set(on("docker__telling_files"))


@pytest.mark.parametrize(
    ("said", "going_on"),
    [
        ("python3-apt must be installed to use check mode. If run normally this module can", True),
        ("No package matching 'docker.io' is available", False),
        ("E: Could not get lock", False),
    ],
)
def test_check_mode_goes_on_where_apt_can_t_be_asked(role, said, going_on) -> None:
    """A minimal Debian has no python3-apt; without check mode the module installs it."""
    assert role(docker__install={"failed": True, "msg": said})("docker__no_apt_to_ask") is going_on


def lines(*names: str, more: str = "") -> dict[str, list[str]]:
    """What list_packages.yml registers."""
    return {"stdout_lines": [*(f"ii  {name}" for name in names), "rc  old", *more.split()]}


def recorded(**record: Any) -> dict[str, str]:
    """What slurp gives of a record."""
    return {"content": base64.b64encode(json.dumps(record).encode()).decode()}


def test_new_packages_are_recorded(role) -> None:
    """Those that were there before are not; a second installation adds to the record."""
    given = {
        "docker_packages": ["docker.io=20.10*", "python3-requests"],
        "docker__record_read": {},
        "docker__before": lines("bash", "python3-requests"),
        "docker__after": lines("bash", "python3-requests", "docker.io", "runc", more="docker"),
    }
    first = role(there=["/etc/docker"], **given)("docker__new_record")
    assert first == {
        "format": 1,
        "named": ["docker.io"],
        "packages": ["docker.io", "runc"],
        "folders": ["/etc/cni", "/opt/containerd"],
        "group": True,
    }
    given["docker_packages"] = ["docker.io", "jq"]
    given["docker__record_read"] = recorded(**first)
    given["docker__before"] = given["docker__after"]
    given["docker__after"] = lines("bash", "docker.io", "runc", "jq", "libjq1", more="docker")
    second = role(there=["/etc/docker", "/etc/cni", "/opt/containerd"], **given)
    assert second("docker__new_record") == {
        **first,
        "named": ["docker.io", "jq"],
        "packages": ["docker.io", "jq", "libjq1", "runc"],
    }


def simulated(*packages: str) -> dict[str, Any]:
    """What apt-get --simulate says of the three removals that are asked for."""
    texts = ["".join(f"Remv {name} [1]\n" for name in text.split()) for text in packages]
    return {"results": [{"stdout": f"Inst x\n{text}"} for text in texts]}


RECORD = {
    "format": 1,
    "named": ["docker.io", "jq"],
    "packages": ["docker.io", "jq", "libjq1", "runc"],
}


@pytest.mark.parametrize(
    ("manual", "says", "needing", "going"),
    [
        ("bash docker.io", ("docker.io", "docker.io runc:amd64", ""), [], ["docker.io", "runc"]),
        # Somebody has asked for runc; something depends on it; something depends on Docker.
        ("docker.io runc", ("docker.io", "docker.io", ""), [], ["docker.io"]),
        ("docker.io", ("docker.io", "docker.io runc ctr", "docker.io old"), [], ["docker.io"]),
        ("docker.io", ("docker.io ui", "docker.io ui", "docker.io ui"), ["ui"], ["docker.io"]),
    ],
)
def test_only_packages_of_the_role_are_removed(role, manual, says, needing, going) -> None:
    """Those that nothing else depends on, whatever else nobody needs."""
    on = role(
        docker__record_read=recorded(**RECORD),
        docker__listed=lines("bash", "docker.io", "runc"),
        docker__manual={"stdout_lines": manual.split()},
        docker__simulated=simulated(*says),
    )
    assert on("docker__named_here") == ["docker.io"]
    assert on("docker__needing") == needing
    assert on("docker__going") == going
