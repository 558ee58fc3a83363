# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""run_cdi.py SPECIFICATION IMAGE ENGINE...: runs on a test host. Starts containers with devices of
the specification in each engine, and compares what is seen from inside with what it says.

The status is 1 after a line for each thing that differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

# A nested host may have no controller pids, and no network that a container could be given.
PODMAN = ("--pids-limit=0",)
# There only root may mount /proc anew, as parts of it are hidden.
ROOTLESS = ("--pid=host",)
SEPARATOR = "--"
INSIDE = f"""
stat -c '%n %t:%T %a' /dev/nvidia* /dev/nvidia-caps/* 2>/dev/null
echo {SEPARATOR}
env
echo {SEPARATOR}
nvidia-smi -L
echo {SEPARATOR}
stat -L -c %n:%s "$@"
echo {SEPARATOR}
unset LD_LIBRARY_PATH
for name in $LIBRARIES; do
  LD_PRELOAD=$name /bin/true 2>&1
done
"""
NOT_FOUND = "cannot open shared object file"
"""The loader's words; a library of the simulated driver may be no more than a header."""


def run(
    engine: str, image: str, devices: list[str], files: list[str], libraries: list[str]
) -> list[str]:
    """Return what a container says, in five parts."""
    options = PODMAN if engine == "podman" else ()
    options += ROOTLESS if os.geteuid() else ()
    command = [engine, "run", "--rm", "--network=none", *options]
    command += [f"--device={device}" for device in devices]
    command += [f"--env=LIBRARIES={' '.join(libraries)}"]
    done = subprocess.run(
        [*command, image, "sh", "-c", INSIDE, "sh", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    parts = done.stdout.split(f"{SEPARATOR}\n")
    if done.returncode or len(parts) != 5:
        raise SystemExit(f"{engine}, {' '.join(devices)}: {done.stderr.strip()}")
    return parts


def nodes_of(*edits: dict[str, Any]) -> set[str]:
    """Return the device nodes as the container's stat tells them."""
    return {
        f"{node['path']} {node['major']:x}:{node['minor']:x} {node['fileMode']:o}"
        for one in edits
        for node in one.get("deviceNodes", ())
    }


def links_of(files: dict[str, str]) -> dict[str, str]:
    """Return the links in directories that are mounted, with the files of the host behind them."""
    found = {}
    for place, source in files.items():
        for entry in os.scandir(source) if os.path.isdir(source) else ():
            target = os.readlink(entry.path) if entry.is_symlink() else ""
            for below, volume in files.items():
                if target.startswith(f"{below}/"):
                    found[f"{place}/{entry.name}"] = volume + target[len(below) :]
    return found


def differences(engine: str, image: str, spec: dict[str, Any], chosen: list[str]) -> list[str]:
    """Return what a container with these devices has otherwise than the specification says."""
    common = spec["containerEdits"]
    edits = [one["containerEdits"] for one in spec["devices"] if one["name"] in chosen]
    files = {mount["containerPath"]: mount["hostPath"] for mount in common["mounts"]}
    linked = links_of(files)
    files.update(linked)
    libraries = sorted({os.path.basename(path) for path in linked})
    nodes, environment, listed, sizes, loaded = run(
        engine, image, [f"{spec['kind']}={name}" for name in chosen], list(files), libraries
    )
    seen = {line for line in nodes.splitlines() if not line.startswith("/dev/nvidia-caps ")}
    wanted = nodes_of(common, *edits)
    found = [f"device node {one} is not there" for one in sorted(wanted - seen)]
    found += [f"device node {one} is there" for one in sorted(seen - wanted)]
    lines = environment.splitlines()
    found += [f"variable {one} is not there" for one in common["env"] if one not in lines]
    sized = [f"{path}:{os.stat(source).st_size}" for path, source in files.items()]
    found += [f"file {one} is not there" for one in sorted({*sized} - {*sizes.splitlines()})]
    found += [line for line in loaded.splitlines() if NOT_FOUND in line]
    if not libraries:
        found.append("no library is found by a link")
    told = {line.rpartition("(UUID: ")[2].rstrip(")") for line in listed.splitlines()}
    # A GPU is listed above its MIG devices.
    if {one for one in told if one.startswith("GPU-")} != set(chosen):
        found.append(f"nvidia-smi lists {listed}")
    return [f"{engine}, {' '.join(chosen)}: {one}" for one in found]


def main(path: str, image: str, *engines: str) -> int:
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    uuids = [one["name"] for one in spec["devices"] if one["name"].startswith("GPU-")]
    failed = []
    for engine in engines:
        for chosen in ([uuids[0]], [uuids[0], uuids[-1]]):
            failed += differences(engine, image, spec, chosen)
        # By index, and all of them, are the same GPUs.
        for name, expected in (("0", uuids[:1]), ("all", uuids)):
            listed = run(engine, image, [f"{spec['kind']}={name}"], ["/"], [])[2]
            if [one for one in uuids if one in listed] != expected:
                failed.append(f"{engine}, {name}: nvidia-smi lists {listed}")
    for line in failed:
        print(line)
    print(f"{len(engines)} engines, {len(spec['devices'])} devices, {len(failed)} differences")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
