# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make install PREFIX= DESTDIR=`: the programs on a host without Ansible."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.layout import (
    CDI_UNITS,
    UNITS,
)

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "gpufleet/cuda:8.0"
CHECKOUT = "/tmp/checkout"
SERVICES = "nvidia-docker-plugin.service"
CDI = "nvidia-docker-cdi.timer nvidia-docker-cdi.path nvidia-docker-cdi-nodes.service"


def make(target: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    command = ["make", "-C", str(ROOT), target, *(f"{k}={v}" for k, v in variables.items())]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def staged(tmp_path: Path):
    """Install below a folder, as for a package."""

    def install(prefix: str) -> Path:
        done = make("install", PREFIX=prefix, DESTDIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        return tmp_path

    return install


def test_units_are_those_of_the_role(staged, on_host) -> None:
    """One source for both ways of installing. Of the CDI units, see test_cdi.py."""
    folder = staged("/usr/local") / "etc"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    for path in paths:
        if not path.name.startswith("nvidia-docker-cdi"):
            assert on_host(f"cat /etc/{path.relative_to(folder)}").stdout == path.read_text()
    there = {path.name for path in (folder / "systemd/system").iterdir()}
    assert there == {*UNITS, *CDI_UNITS}


def test_the_programs_work_where_they_are_unpacked(staged, host, on_host) -> None:
    """At the place that PREFIX names; nothing knows where they were staged."""
    folder = staged("/opt/gpufleet-test")
    archive = subprocess.run(["tar", "-C", folder, "-c", "opt"], stdout=subprocess.PIPE, check=True)
    unpack = ["docker", "exec", "-i", host, "tar", "-C", "/", "-x"]
    subprocess.run(unpack, input=archive.stdout, check=True)
    bin_folder = "/opt/gpufleet-test/bin"
    try:
        listed = on_host(f"NV_GPU=0 {bin_folder}/nvidia-docker run --rm {IMAGE} nvidia-smi -L")
        assert "GPU 0: " in listed.stdout
        version = on_host(f"{bin_folder}/nvidia-docker-plugin -v").stdout
        assert version.startswith("NVIDIA Docker plugin: ")
        page = on_host("cat /opt/gpufleet-test/share/man/man1/nvidia-docker.1").stdout
        assert ".TH NVIDIA-DOCKER 1" in page
        assert on_host(f"grep -r {folder} /opt/gpufleet-test", ok=False).returncode == 1
    finally:
        on_host("rm -rf /opt/gpufleet-test")


def test_uninstall_removes_what_install_made(staged, tmp_path) -> None:
    """Files of others stay."""
    folder = staged("/usr")
    other = folder / "usr/bin/other"
    other.write_text("")
    assert (folder / "usr/share/man/man1/nvidia-docker.1").is_symlink()
    done = make("uninstall", PREFIX="/usr", DESTDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [path for path in folder.rglob("*") if not path.is_dir()] == [other]


@pytest.fixture
def bare() -> Iterator[Callable[[str], str]]:
    """Run a shell line on a host of its own, where nothing is installed and no GPU is simulated."""
    name = f"{os.environ.get('GPUFLEET_DEMO', 'gpufleet-demo')}-bare"
    script = ROOT / "tests" / "hosts" / "host.sh"

    def run(line: str, stdin: bytes = b"") -> str:
        command = ["docker", "exec", "-i", name, "bash", "-c", line]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        return (done.stdout + done.stderr).decode()

    try:
        subprocess.run([script, "up", name, "trixie"], check=True, timeout=300)
        yield run
    finally:
        subprocess.run([script, "down", name], check=True, timeout=300)


@pytest.mark.suites("trixie")
def test_a_host_with_running_units_is_what_it_was(tmp_path, bare) -> None:
    """No file, unit, user or failed state is left, and systemd has nothing to say."""
    program = f"{CHECKOUT}/tests/tools/programs.py"
    where = {"PREFIX": "/usr/local", "DESTDIR": "", "PYTHON": "/usr/bin/python3"}
    render = [sys.executable, ROOT / "tests" / "tools" / "programs.py", "render", tmp_path]
    subprocess.run(render, env={**os.environ, **where}, check=True)
    sources = ("tests", "plugins", "roles", "meta", "LICENSES", "galaxy.yml", ".dev")
    files = ["-C", ROOT, *sources, "-C", tmp_path.parent, tmp_path.name]
    packed = subprocess.run(["tar", "-c", *files], stdout=subprocess.PIPE, check=True).stdout
    bare(f"mkdir {CHECKOUT} && tar -x -C {CHECKOUT}", packed)
    bare(f"python3 {CHECKOUT}/tests/hosts/snapshot.py take before")
    variables = " ".join(f"{name}={value}" for name, value in where.items())
    bare(f"{variables} python3 -I {program} install {CHECKOUT}/{tmp_path.name}")
    bare("systemctl daemon-reload")
    bare(f"systemctl enable --now {SERVICES} {CDI}")
    bare(f"systemctl is-active {SERVICES} {CDI}")
    # Without a driver it fails.
    bare("systemctl enable nvidia-docker-cdi.service; ! systemctl start nvidia-docker-cdi.service")
    said = bare(f"PREFIX=/usr/local {CHECKOUT}/tests/tools/programs.sh uninstall")
    assert "triggering units" not in said
    assert "Warning" not in said
    bare(f"python3 {CHECKOUT}/tests/hosts/snapshot.py compare before")
    active = "systemctl list-units --plain --no-legend --state=active,failed 'nvidia-docker*'"
    assert bare(active) == ""


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"PREFIX": "usr/local"}, "PREFIX='usr/local' is no absolute path"),
        ({"PREFIX": "/usr/../x"}, "PREFIX='/usr/../x' is no absolute path"),
        ({"PYTHON": "/bin/true"}, "PYTHON=/bin/true is no Python 3.9 or later"),
    ],
)
def test_wrong_variables_are_named(tmp_path, variables, says) -> None:
    """In one sentence; nothing is written."""
    done = make("install", **{"PREFIX": "/usr/local", "DESTDIR": str(tmp_path), **variables})
    assert done.returncode != 0
    assert f"Error: {says}" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
