# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""podman_page.py PAGE MACHINES: runs on a test host that has the image gpufleet/cuda:8.0 in Podman.
Does what docs/podman.md says, as it stands there, on a machine whose GPU 0 has three MIG devices.

The status is 1 after a line for each thing that is otherwise. In the end the machine is zoo5 again.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

SERVICE = "nvidia-docker-cdi.service"
SPECIFICATION = Path("/run/cdi/nvidia.json")
QUADLET = Path("/usr/libexec/podman/quadlet")
UNIT = Path("/etc/containers/systemd/training.container")
# The image that the page has is somebody's training.
IMAGE = """FROM gpufleet/cuda:8.0
STOPSIGNAL SIGKILL
CMD ["sleep", "infinity"]
"""
SEEN = [(1, 3), (2, 3), (1, 1), (5, 3)]
"""GPUs and MIG devices that the container of each line lists."""


def run(line: str) -> str:
    done = subprocess.run(
        ["sh", "-c", line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{line}: {done.stdout.strip()}")
    return done.stdout


def load(machine: dict[str, object]) -> None:
    file = Path("/run/machine.json")
    file.write_text(json.dumps(machine))
    run(f"simulated-gpu load {file} && systemctl start {SERVICE}")
    file.unlink()


def lines(page: str) -> list[str]:
    """What the containers of the page's lines have otherwise."""
    found = re.findall(r"^podman run .*", page, re.MULTILINE)
    listed = [run(line) for line in found]
    seen = [
        (len(re.findall("UUID: GPU-", one)), len(re.findall("UUID: MIG-", one))) for one in listed
    ]
    return [] if seen == SEEN else [f"{found}: {seen} GPUs and MIG devices instead of {SEEN}"]


def unit(page: str) -> list[str]:
    """What Quadlet makes of the page's unit otherwise, and what a reboot would."""
    (text,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    UNIT.write_text(text)
    run("systemctl daemon-reload")
    wrong = []
    after = run("systemctl show --property=After --value training.service").split()
    if SERVICE not in after:
        wrong.append(f"the unit of Quadlet is ordered after {after}")
    # As after a boot: no specification, and nothing has asked for one.
    run("systemctl stop nvidia-docker-cdi.timer nvidia-docker-cdi.path")
    SPECIFICATION.unlink()
    run("systemctl start training.service")
    listed = run("podman exec systemd-training nvidia-smi -L")
    if listed.count("UUID: GPU-") != 1:
        wrong.append(f"the container of Quadlet lists {listed}")
    # It has failed then, as its program is killed.
    run("systemctl stop training.service; systemctl reset-failed training.service")
    UNIT.unlink()
    run("systemctl daemon-reload; systemctl start nvidia-docker-cdi.timer nvidia-docker-cdi.path")
    return wrong


def main(page_file: str, machines: str) -> int:
    page = Path(page_file).read_text()
    run("podman tag gpufleet/cuda:8.0 localhost/image")
    subprocess.run(
        ["podman", "build", "--quiet", "--tag=registry.example.org/training:5", "-"],
        input=IMAGE,
        stdout=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    usual = json.loads(Path(machines, "zoo5.json").read_text())
    mig = json.loads(Path(machines, "a100_mig.json").read_text())["gpus"][1]
    first, *others = usual["gpus"]
    load({**usual, "gpus": [{**mig, "minor": first["minor"]}, *others]})
    wrong = lines(page)
    if QUADLET.exists():
        wrong += unit(page)
    load(usual)
    before = run(f"systemctl show --property=Before --value {SERVICE}").split()
    if "podman-restart.service" not in before:
        wrong.append(f"the specification is written before {before}")
    for line in wrong:
        print(line)
    print(f"{len(SEEN)} lines, {'a' if QUADLET.exists() else 'no'} unit, {len(wrong)} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
