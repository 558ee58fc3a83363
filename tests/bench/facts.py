# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nvidia_facts costs a host with 8 GPUs: processor time, and calls into the driver. The
modules are run as Ansible sends them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.gpufleet.nvidia.tests.bench.cli import HOST, ROOT, host
from ansible_collections.gpufleet.nvidia.tests.bench.measure import RUNS, Figure

FOLDER = "/opt/gpufleet-bench"
PING = "ansible.builtin.ping"
FACTS = "gpufleet.nvidia.nvidia_facts"
MACHINES = ROOT / "roles/simulated_gpu/files/machines"
GPUS = 8


def sent(module: str, directory: Path) -> bytes:
    """Return the file that Ansible sends to a host for a module without options."""
    folder = directory / module
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(ROOT / ".build/ansible"),
        "ANSIBLE_KEEP_REMOTE_FILES": "true",
        "ANSIBLE_PIPELINING": "false",
        "ANSIBLE_REMOTE_TMP": str(folder),
    }
    command = [str(ROOT / ".venv/bin/ansible"), "localhost", "-i", "localhost,"]
    command += ["-c", "local", "-m", module, "-e", f"ansible_python_interpreter={sys.executable}"]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    (path,) = folder.glob("*/AnsiballZ_*.py")
    return path.read_bytes()


def on_host(*command: str, given: bytes = b"") -> bytes:
    docker = ["docker", "exec", "-i", HOST, *command]
    return subprocess.run(docker, input=given, stdout=subprocess.PIPE, check=True).stdout


def load(gpus: str) -> None:
    """Give the host the GPUs of a machine file; its driver, and so all files of it, stay."""
    demo = json.loads((MACHINES / "zoo5.json").read_text())
    machine = json.loads((MACHINES / f"{gpus}.json").read_text())
    shown = {**machine, "driver": demo["driver"], "cuda": demo["cuda"]}
    on_host("tee", f"{FOLDER}/machine.json", given=json.dumps(shown).encode())
    on_host("simulated-gpu", "load", f"{FOLDER}/machine.json")


def figures(directory: Path) -> Iterator[Figure]:
    """Yield the default subset with the programs' byte code on the host, and without programs."""
    with host():
        on_host("mkdir", "-p", FOLDER)
        try:
            load("h100x8")
            for module in (PING, FACTS):
                on_host("tee", f"{FOLDER}/{module}", given=sent(module, directory))
            script = (Path(__file__).parent / "on_host" / "facts.py").read_bytes()
            command = ("/usr/bin/python3", "-", FOLDER, PING, FACTS, str(RUNS))
            told = json.loads(on_host(*command, given=script))
        finally:
            load("zoo5")
    assert told["gpus"] == GPUS
    ping = told["seconds"]["ping"]
    for name in ("programs installed", "no programs"):
        facts = told["seconds"][name]
        added = statistics.median(facts) - statistics.median(ping)
        yield Figure(
            name=f"nvidia_facts, {GPUS} GPUs, {name}: processor time",
            seconds=statistics.median(facts),
            worst=max(facts),
            baseline="ping, which does nothing",
            baseline_seconds=statistics.median(ping),
            target="200 ms, 12 calls of NVML for each GPU",
            remark=f"added to ping {added * 1000:.0f} ms, least of both {least(facts, ping)}; "
            f"{told['calls'] / GPUS:.1f} calls of NVML for each GPU",
        )


def least(facts: list[float], ping: list[float]) -> str:
    """Return the smallest figures, which hardly change on a busy machine."""
    return f"{min(facts) * 1000:.0f} and {min(ping) * 1000:.0f} ms"
