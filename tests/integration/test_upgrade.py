# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another version of the collection upgrades the demo host and goes back, or is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("LICENSES", "galaxy.yml", "meta", "playbooks", "plugins", "roles")
VERSION = re.compile(r'__version__ = "(.*)"')
NEWER = "99.1"
CONTAINER = "docker inspect --format '{{.Id}} {{.State.Pid}} {{.State.StartedAt}}' training"
PROGRAMS = "nvidia-docker-plugin -v; ls /usr/local/lib/nvidia-docker/releases | wc -l"
STATE = (
    "find /usr/local/lib/nvidia-docker /usr/local/bin /etc/systemd/system -type f | sort "
    "| xargs sha256sum; systemctl show -p MainPID nvidia-docker-plugin"
)

# Docker asks the plugin for the volume each time.
ASK = """
asked=0
while [ ! -e /run/asked ]; do
  curl -sSf -m 30 localhost:3476/docker/cli >/dev/null || echo "REST is lost"
  docker volume inspect nvidia_driver >/dev/null || echo "Docker is lost"
  asked=$((asked + 1))
done
rm /run/asked
echo "$asked"
"""


def documented(words: str) -> str:
    """The command of docs/upgrade.md that has these words."""
    lines = (ROOT / "docs" / "upgrade.md").read_text().splitlines()
    (line,) = [
        line for line in lines if line.startswith("ansible-playbook") and line.endswith(words)
    ]
    return line


@pytest.fixture(scope="module")
def site(tmp_path_factory, on_controller) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command with the collection of another version."""

    def run(version: str, command: str) -> subprocess.CompletedProcess[str]:
        base = tmp_path_factory.mktemp("version")
        folder = base / "ansible_collections" / "gpufleet" / "nvidia"
        folder.mkdir(parents=True)
        for name in PARTS:
            ignored = shutil.ignore_patterns("__pycache__")
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(
                ROOT / name,
                folder / name,
                **({"ignore": ignored} if copy is shutil.copytree else {}),
            )
        package = folder / "plugins/module_utils/nvidia_docker/__init__.py"
        package.write_text(VERSION.sub(f'__version__ = "{version}"', package.read_text()))
        (base / "ansible.cfg").write_text("[defaults]\n")
        path = f"{base}:{ROOT}/.build/collections"
        config = str(base / "ansible.cfg")
        return on_controller(
            command, ok=False, ANSIBLE_CONFIG=config, ANSIBLE_COLLECTIONS_PATH=path
        )

    return run


@pytest.fixture(scope="module")
def _back(site, on_host) -> Iterator[None]:
    """Whatever fails, the other tests find this version."""
    yield
    if NEWER in on_host(PROGRAMS).stdout:
        site(NEWER, documented("nvidia_docker_state=previous"))


def test_an_older_version_is_refused(site, on_host) -> None:
    """In one sentence, which says what to do; nothing has changed."""
    before = on_host(STATE).stdout
    done = site("0.9", documented("gpufleet.nvidia.site"))
    assert done.returncode == 2
    message = json.loads(re.search(r"FAILED! => (\{.*\})", done.stdout)[1])["msg"]
    assert re.fullmatch(
        r"this host has nvidia-docker (\S+), which is newer than 0\.9 of this controller: use "
        r"gpufleet\.nvidia \1 or later here, which goes back .*",
        message,
    )
    assert on_host(STATE).stdout == before


@pytest.mark.usefixtures("_back")
def test_an_upgrade_and_the_way_back(site, host, on_host, on_controller) -> None:
    """No request is lost, no container restarted; afterwards there is nothing to change."""
    version, *_dummy = on_host(PROGRAMS).stdout.splitlines()
    container = on_host(CONTAINER).stdout
    with subprocess.Popen(
        ["docker", "exec", host, "bash", "-c", ASK],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as asking:
        try:
            done = site(NEWER, documented("gpufleet.nvidia.site"))
            upgraded = on_host(PROGRAMS).stdout.splitlines()
            back = site(NEWER, documented("nvidia_docker_state=previous"))
        finally:
            on_host("touch /run/asked")
            asked = asking.communicate(timeout=60)[0]
    assert done.returncode == 0, done.stdout
    assert upgraded == [f"NVIDIA Docker plugin: {NEWER}", "2"]
    assert back.returncode == 0, back.stdout
    assert on_host(PROGRAMS).stdout.splitlines() == [version, "2"]
    assert asked.strip().isdigit(), asked
    assert int(asked) > 5
    assert on_host(CONTAINER).stdout == container
    assert "UUID" in on_host("docker exec training nvidia-smi -L").stdout
    again = on_controller("ansible-playbook -i inventory gpufleet.nvidia.site").stdout
    assert " changed=0 " in again, again
