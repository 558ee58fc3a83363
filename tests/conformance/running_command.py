# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command nvidia-docker, run in the root of a recording, where docker and ssh are stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker_stand_in
import ssh_stand_in
from machine import Machine
from recorded_driver import below

PROGRAM = "/usr/local/bin/nvidia-docker"

_TIMEOUT_S = 30


@dataclass(frozen=True)
class Outcome:
    """What a command line did; ``docker``: the call of the docker that it became, if it did."""

    status: int
    output: str
    errors: str
    docker: Mapping[str, Any] | None
    unknown: tuple[Sequence[str], ...]
    """Questions that the stand-in has no answer to."""


def install(machine: Machine) -> None:
    """Put the stand-ins for docker and ssh into a machine's root."""
    for name, module in (("docker", docker_stand_in), ("ssh", ssh_stand_in)):
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        program = below(machine.folder, f"/usr/local/bin/{name}")
        program.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{text}", encoding="utf-8")
        program.chmod(0o755)


def run(
    machine: Machine,
    name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    docker_conf: Mapping[str, str],
) -> Outcome:
    """Run the command with these arguments; ``name`` is a folder of its own for the stand-in."""
    folder = machine.path(f"/tmp/{name}")
    folder.mkdir()
    conf = {**docker_conf, "parent": os.getpid()}
    (folder / docker_stand_in.CONF).write_text(json.dumps(conf))
    # Not preexec_fn: commands run side by side, started by threads.
    command = ["unshare", f"--root={machine.folder}", PROGRAM, *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**machine.environment, docker_stand_in.FOLDER: f"/tmp/{name}", **environment},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(f"Error: 'nvidia-docker {' '.join(arguments)}' does not end") from None
    calls = _calls(folder / docker_stand_in.CALLS)
    become = [call for call in calls if call["kind"] == docker_stand_in.BECOME]
    return Outcome(
        done.returncode,
        done.stdout.decode("utf-8", "backslashreplace"),
        done.stderr.decode("utf-8", "backslashreplace"),
        become[-1] if become else None,
        tuple(call["argv"] for call in calls if call["kind"] == docker_stand_in.UNKNOWN),
    )


def _calls(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
