# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPU containers on a host that is reached by SSH, with a real sshd, ssh, docker and plugin.

The client's machine is the demo host itself, seen by a user whose GPU device nodes
lead nowhere: those that a container has are what the plugin said.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

import pytest

IMAGE = "gpufleet/cuda:8.0"
CLIENT = "gpufleet-client"
USER = "gpufleet-server"
PASSWORD = "only-in-this-test"
PORT = 2222
UNIT = "gpufleet-test-sshd"
LIST = f"run --rm {IMAGE} nvidia-smi -L"
# For the client the nodes of this machine lead nowhere.
HIDE = "for node in /dev/nvidia*; do [ ! -c $node ] || mount --bind /dev/null $node; done; "

# The package's own server is masked before it can start. The user on the other side is another one:
# the client's context would be docker's there too, which would then log in again, without end.
SERVER = f"""
set -e
systemctl mask --quiet ssh.service ssh.socket
command -v sshd >/dev/null || {{
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update && apt-get -q install -y --no-install-recommends openssh-server
}} >&2
useradd --create-home --shell /bin/bash --groups docker {CLIENT}
useradd --create-home --shell /bin/bash --groups docker {USER}
echo '{USER}:{PASSWORD}' | chpasswd
cd ~{CLIENT}
install -d -m 700 .ssh bin ~{USER}/.ssh
ssh-keygen -q -t ed25519 -N '' -f .ssh/id_gpu7
mv .ssh/id_gpu7.pub ~{USER}/.ssh/authorized_keys
ssh-keygen -q -t ed25519 -N '' -f ~{USER}/host_key
cat >~{USER}/sshd_config <<CONFIG
Port {PORT}
ListenAddress 127.0.0.1
HostKey /home/{USER}/host_key
PidFile none
UsePAM no
PasswordAuthentication yes
CONFIG
cat >.ssh/config <<CONFIG
Host gpu7 gpu7-*
  HostName 127.0.0.1
  User {USER}
  IdentityFile ~/.ssh/id_gpu7
  StrictHostKeyChecking yes
Host gpu7-unknown
  UserKnownHostsFile /dev/null
Host gpu7-password
  PubkeyAuthentication no
Host gpu7-closed
  Port 9
Host gpu7 gpu7-*
  Port {PORT}
CONFIG
echo "[127.0.0.1]:{PORT} $(cat ~{USER}/host_key.pub)" >.ssh/known_hosts
for program in nvidia-docker docker ssh; do ln -s "$(command -v $program)" bin/; done
chown -R {CLIENT}: .ssh bin
chown -R {USER}: ~{USER}/.ssh
systemd-run --quiet --unit={UNIT} --property=RuntimeDirectory=sshd \
  "$(command -v sshd)" -D -f /home/{USER}/sshd_config
for attempt in $(seq 50); do
  ! ss --listening --tcp --numeric --no-header 'sport = :{PORT}' | grep -q . || exit 0
  sleep 0.1
done
exit 1
"""
REMOVE = f"""
systemctl stop {UNIT}
systemctl unmask --quiet ssh.service ssh.socket
userdel --remove {CLIENT} 2>/dev/null
userdel --remove {USER} 2>/dev/null
! id -u {USER} 2>/dev/null
"""


@pytest.fixture(scope="module", autouse=True)
def server(on_host) -> Iterator[None]:
    """An SSH server on a port of its own, and a user with a key for it."""
    on_host(REMOVE, ok=False)
    on_host(SERVER)
    yield
    on_host(REMOVE)


@pytest.fixture
def as_client(on_host):
    """A function that runs a line as the user on this side."""

    def run(line: str, ok: bool = True):
        environment = f"HOME=/home/{CLIENT} PATH=/home/{CLIENT}/bin"
        shell = f"/usr/bin/timeout 60 /bin/bash -c {shlex.quote('cd; ' + line)}"
        as_user = f"runuser -u {CLIENT} -- env -i {environment} {shell}"
        return on_host(f"unshare --mount bash -c {shlex.quote(HIDE + as_user)}", ok)

    return run


@pytest.fixture(scope="module")
def gpus(on_host) -> list[str]:
    """UUIDs of the demo host, as its plugin tells."""
    told = json.loads(on_host("curl -s localhost:3476/gpu/info/json").stdout)
    return [device["UUID"] for device in told["Devices"]]


def uuids(text: str) -> list[str]:
    return re.findall(r"UUID: (GPU-[0-9a-f-]+)", text)


def logins(on_host) -> int:
    return on_host(f"journalctl --unit={UNIT}").stdout.count("Accepted ")


def test_this_machine_is_no_way_out(as_client) -> None:
    """What all tests here stand on: without an address there is no GPU."""
    done = as_client(f"nvidia-docker {LIST}", ok=False)
    assert done.returncode == 1
    assert "missing device node /dev/nvidiactl" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "DOCKER_HOST=ssh://gpu7 nvidia-docker {command}",
        "nvidia-docker -H ssh://gpu7 {command}",
        "DOCKER_HOST=ssh://gpu7 NV_HOST=ssh://gpu7: nvidia-docker {command}",
        "docker context create lab --docker host=ssh://gpu7 >/dev/null;"
        " nvidia-docker --context lab {command}",
        "docker context use lab >/dev/null; nvidia-docker {command}; status=$?;"
        " docker context use default >/dev/null; exit $status",
    ],
)
def test_a_container_on_the_other_host(as_client, gpus, line) -> None:
    """As docker users write it; the name is one of ~/.ssh/config."""
    done = as_client(f"export NV_GPU=1; {line.format(command=LIST)}")
    assert uuids(done.stdout) == gpus[1:2]
    assert "nvidia-docker" not in done.stderr


def test_user_and_port(as_client, gpus) -> None:
    """Docker's own port is ssh's."""
    option = "StrictHostKeyChecking accept-new\\nIdentityFile ~/.ssh/id_gpu7"
    as_client(f"printf 'Host localhost\\n{option}\\nUserKnownHostsFile ~/new\\n' >>.ssh/config")
    host = f"ssh://{USER}@localhost:{PORT}"
    done = as_client(f"DOCKER_HOST={host} nvidia-docker {LIST}")
    assert uuids(done.stdout) == gpus


def test_one_login_for_nv_host(as_client, on_host, gpus) -> None:
    """Both requests go through one ssh; docker's engine is another machine's here."""
    before = logins(on_host)
    done = as_client(f"NV_GPU=1 NV_HOST=ssh://gpu7: nvidia-docker {LIST}")
    assert uuids(done.stdout) == gpus[1:2]
    assert "Warning: NV_HOST is set but DOCKER_HOST is not" in done.stderr
    assert logins(on_host) == before + 1


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("ssh://gpu7-unknown:", "Host key verification failed."),
        ("ssh://gpu7-closed:", "connect to host 127.0.0.1 port 9: Connection refused"),
        ("ssh://gpu7:9", "open failed: connect failed: Connection refused"),
        ("ssh://no-such-host.invalid:", "Could not resolve hostname no-such-host.invalid"),
        ("ssh://nobody@gpu7:", "Permission denied"),
    ],
)
def test_what_ssh_says(as_client, on_host, address, sentence) -> None:
    """In one sentence of ours; no container, no process is left."""
    done = as_client(f"NV_HOST={address} nvidia-docker {LIST}", ok=False)
    assert (done.returncode, done.stdout) == (1, "")
    error = done.stderr.splitlines()[-1]
    assert "Error: can't ask the plugin at ssh://" in error
    assert sentence in error
    assert on_host(f"pgrep -u {CLIENT} -x ssh", ok=False).stdout == ""


TYPE_PASSWORD = f"""
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv("/bin/bash", ["bash", "-c", sys.argv[1]])
seen = b""
while True:
    try:
        data = os.read(terminal, 1024)
    except OSError:
        break
    if b"assword:" in data:
        os.write(terminal, b"{PASSWORD}\\n")
    seen += data
_pid, status = os.waitpid(child, 0)
os.write(1, seen)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_password_is_asked_for_once(as_client, on_host, gpus) -> None:
    """By ssh itself, on the terminal."""
    on_host(f"cat >/home/{CLIENT}/type.py <<'END'{TYPE_PASSWORD}END")
    line = f"NV_GPU=1 NV_HOST=ssh://gpu7-password: nvidia-docker {LIST}"
    done = as_client(f"/usr/bin/python3 type.py {shlex.quote(line)}")
    assert done.stdout.count("password:") == 1
    assert uuids(done.stdout) == gpus[1:2]
