# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""run.py [FOLDER]: on a machine with NVIDIA GPUs, compares what we tell of them with nvidia-smi,
makes the driver volume and the CDI specification in FOLDER, and records the machine there, as a
machine file of role simulated_gpu. Changes nothing else. Needs root, Python 3.9 and _vendor.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULE_UTILS = ROOT / "plugins/module_utils"
sys.path[:0] = [str(MODULE_UTILS), str(Path(__file__).parent)]

import machine  # noqa: E402
import smi  # noqa: E402

_UNKNOWN = re.compile(r'Field "([^"]+)" is not a valid field')


def main(folder: Path) -> int:
    """Return how many things differ."""
    if not (MODULE_UTILS / "nvidia_docker/_vendor/pynvml.py").is_file():
        sys.exit("nvidia_docker/_vendor is missing: run 'make vendor' in the checkout")
    folder.mkdir(parents=True, exist_ok=True)
    before, _names = asked(smi.QUERY)
    facts = gathered()
    after, names = asked(smi.QUERY)
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    (folder / "nvidia_smi.csv").write_text(after)
    (folder / "machine.json").write_text(json.dumps(machine.machine(facts), indent=1) + "\n")
    told = [smi.rows(output, names) for output in (before, after)]
    wrong = list(smi.differences(facts, *told))
    print(f"{len(told[1])} GPUs, {len(names)} fields of nvidia-smi: {len(wrong)} differences")
    wrong += [f"{one['gpu'] or 'host'}: {one['message']}" for one in facts["findings"]]
    wrong += given_to_containers(folder, facts["driver"]["version"])
    for sentence in wrong:
        print(f"  {sentence}")
    print(f"recorded in {folder}: machine.json, facts.json, nvidia_smi.csv")
    return len(wrong)


def asked(names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return what nvidia-smi says, and of which fields: an old one does not know all."""
    while True:
        command = ["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            return done.stdout, names
        unknown = set(_UNKNOWN.findall(done.stdout + done.stderr)) & set(names)
        if not unknown:
            sys.exit(f"nvidia-smi does not tell: {(done.stdout + done.stderr).strip()}")
        names = tuple(name for name in names if name not in unknown)


def gathered() -> dict[str, Any]:
    from nvidia_docker.host import gather
    from nvidia_docker.render import facts
    from nvidia_docker.subsets import SUBSETS

    return facts.render(gather.gather(SUBSETS, 30))


def given_to_containers(folder: Path, version: str) -> list[str]:
    """Make volume and specification; return what is wrong with them."""
    from nvidia_docker.cdi.main import main as write_specification
    from nvidia_docker.errors import NvidiaDockerError
    from nvidia_docker.host import driver_volume

    wrong = []
    try:
        made = driver_volume.create(folder / "volumes/nvidia_driver", version)
        print(f"volume {made.path.name}: {len(made.files)} files, {made.link}")
    except NvidiaDockerError as error:
        wrong.append(f"driver volume: {error}")
    path = folder / "cdi/nvidia.json"
    options = [f"--path={path}", f"--spec-directories={path.parent}"]
    if write_specification([*options, f"--volumes-path={folder / 'volumes'}"]) != 0:
        return [*wrong, "CDI specification: see above"]
    spec = json.loads(path.read_text())
    edits = [spec.get("containerEdits", {}), *(one["containerEdits"] for one in spec["devices"])]
    nodes = {node["path"] for edit in edits for node in edit.get("deviceNodes", ())}
    mounts = {mount["hostPath"] for edit in edits for mount in edit.get("mounts", ())}
    print(f"CDI specification: {len(spec['devices'])} devices, {len(mounts)} mounts")
    gone = sorted(one for one in nodes | mounts if not Path(one).exists())
    return wrong + [f"CDI specification: {one} is not there" for one in gone]


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".build/gpu"
    sys.exit(min(1, main(given.absolute())))
