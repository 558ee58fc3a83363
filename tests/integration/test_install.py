# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make install PREFIX= DESTDIR=`: the programs on a host without Ansible."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "gpufleet/cuda:8.0"


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
    assert len(list((folder / "systemd/system").iterdir())) == 10


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
