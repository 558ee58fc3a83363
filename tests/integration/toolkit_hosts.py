# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hosts of Debian 12 and 13 that have every way to give a container GPUs.

tests/hosts/toolkit_hosts.yml makes them. Hosts that were up before stay up.
"""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build" / "toolkit"
PREFIX = os.environ.get("GPUFLEET_DEMO", "gpufleet-demo")
SUITES = ("bookworm", "trixie")
MACHINES = ROOT / "roles" / "simulated_gpu" / "files" / "machines"
ON_HOST = "/root/machines"
"""Where a host has the machines that it is made to be."""

Tasks = list[dict[str, Any]]


@dataclass(frozen=True)
class Host:
    """``suite``: its name in the inventory, too."""

    suite: str

    @property
    def container(self) -> str:
        return f"{PREFIX}-toolkit-{self.suite}"

    def run(self, line: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell line on the host."""
        done = subprocess.run(
            ["docker", "exec", self.container, "bash", "-c", line],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0 or not ok, f"{line}\n{done.stdout}\n{done.stderr}"
        return done

    def ask(self, line: str) -> Any:
        """Run a shell line that prints JSON."""
        return json.loads(self.run(line).stdout)

    def play(self, name: str, tasks: Tasks) -> dict[str, Any]:
        """Run tasks in one play, and return what those with ``register`` have returned, by it.

        A task that fails stops nothing.
        """
        file, results = FOLDER / f"{self.suite}-{name}.yml", FOLDER / f"{self.suite}-{name}.json"
        names = [task["register"] for task in tasks if "register" in task]
        told = json.dumps(names)
        content = f"{{{{ dict({told} | zip(query('vars', *{told}))) | to_json }}}}"
        last = {
            "name": "Keep the results",
            "ansible.builtin.copy": {"content": content, "dest": str(results), "mode": "0644"},
            "delegate_to": "localhost",
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            },
            "check_mode": False,
        }
        play = {
            "hosts": self.suite,
            "gather_facts": False,
            "ignore_errors": True,
            "tasks": [*tasks, last],
        }
        file.write_text(json.dumps([play], indent=1))
        results.unlink(missing_ok=True)
        done = playbook(str(file), "--diff")
        text = done.stdout + done.stderr
        assert results.exists(), text
        assert "Traceback" not in text
        return json.loads(results.read_text())

    def put(self, path: str, text: str) -> None:
        """Write a file on the host."""
        subprocess.run(
            [
                "docker",
                "exec",
                "-i",
                self.container,
                "sh",
                "-c",
                f"mkdir -p $(dirname {path}) && cat >{path}",
            ],
            input=text,
            text=True,
            timeout=60,
            check=True,
        )


def playbook(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook with the inventory of the hosts, whatever its status."""
    env = {
        **os.environ,
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        ["ansible-playbook", "-i", str(FOLDER / "inventory"), *arguments],
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
        env=env,
    )


def up() -> tuple[tuple[Host, ...], tuple[Host, ...]]:
    """Make the hosts; return them, and those of them that were not up before."""
    hosts = tuple(Host(suite) for suite in SUITES)
    look = ("docker", "container", "inspect")
    new = tuple(
        one
        for one in hosts
        if subprocess.run([*look, one.container], capture_output=True, check=False).returncode
    )
    script = str(ROOT / "tests" / "hosts" / "host.sh")
    with ThreadPoolExecutor() as pool:
        for done in pool.map(
            lambda one: subprocess.run(
                [script, "up", one.container, one.suite],
                capture_output=True,
                text=True,
                check=False,
            ),
            hosts,
        ):
            assert done.returncode == 0, done.stderr
    FOLDER.mkdir(parents=True, exist_ok=True)
    group = {
        "vars": {
            "ansible_connection": "community.docker.docker",
            "ansible_python_interpreter": "/usr/bin/python3",
        },
        "hosts": {one.suite: {"ansible_host": one.container} for one in hosts},
    }
    (FOLDER / "inventory").write_text(f"---\n{json.dumps({'gpus': group})}\n")
    done = playbook(str(ROOT / "tests" / "hosts" / "toolkit_hosts.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    for host in hosts:
        for name, machine in machines().items():
            host.put(f"{ON_HOST}/{name}.json", json.dumps(machine))
    return hosts, new


def down(hosts: tuple[Host, ...]) -> None:
    for host in hosts:
        script = str(ROOT / "tests" / "hosts" / "host.sh")
        subprocess.run([script, "down", host.container], capture_output=True, check=True)


def machine(name: str) -> dict[str, Any]:
    """A machine of role simulated_gpu."""
    return json.loads((MACHINES / f"{name}.json").read_text())


def machines() -> dict[str, dict[str, Any]]:
    """What a host can be made: what it is, and what a reboot or an upgrade makes of that."""
    usual, mig = machine("zoo5"), machine("a100_mig")
    first, second, third, *others = usual["gpus"]
    # NVML counts in another order. Of the last two each has the device node of the other.
    fourth, fifth = ({**one, "minor": others[1 - n]["minor"]} for n, one in enumerate(others))
    return {
        "usual": usual,
        "renumbered": {**usual, "gpus": [second, first, third, fourth, fifth]},
        "gone": {
            **usual,
            "gpus": [first, second, third, others[0]],
            "topo": _without("4", usual["topo"]),
            "p2p": _without("4", usual["p2p"]),
        },
        "upgraded": {**usual, "driver": machine("newdriver")["driver"]},
        "mig": mig,
    }


def become(name: str) -> list[str]:
    """Return the shell lines that make a host this machine, as by a reboot: /run is empty then."""
    return [
        f"simulated-gpu load {ON_HOST}/{name}.json",
        "rm -f /run/nvidia-docker-cdi/seen",
        "systemctl start nvidia-docker-cdi.service",
    ]


def _without(index: str, pairs: dict[str, Any]) -> dict[str, Any]:
    return {pair: value for pair, value in pairs.items() if index not in pair.split(".")}
