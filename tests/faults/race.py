# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""race.py ROLES SECONDS STORE DRIVER_ROOT: processes that get at one driver volume at once.

ROLES are joined by commas: ``create``, ``remove``, ``read``. Prints how often each was done, as
JSON. A program of its own since only a process with one thread can fork safely.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".dev"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    UnknownVolume,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    volume_store,
)
from ansible_collections.gpufleet.nvidia.tests.faults.tools import VERSION


def create(root: Path, driver_root: Path) -> str:
    made = driver_volume.create(root, VERSION, driver_root)
    return "made" if made.changed else "found right"


def remove(root: Path, driver_root: Path) -> str:
    return "removed" if volume_store.remove(root, VERSION) else "found none"


def read(root: Path, driver_root: Path) -> str:
    """Nothing makes an existing volume again here: what has the name all along is whole."""
    volume_store.list_volumes(root)
    place = volume_store.directory(root, VERSION)
    try:
        before = place.stat()
        reasons = driver_volume.unfit(root, VERSION)
        after = place.stat()
    except (FileNotFoundError, UnknownVolume):
        return "read none"
    if not os.path.samestat(before, after):
        return "read one that went"
    if reasons:
        raise AssertionError(f"half a volume was seen: {reasons}")
    return "read a whole one"


ROLES: dict[str, Callable[[Path, Path], str]] = {"create": create, "remove": remove, "read": read}


def play(role: str, until: float, root: Path, driver_root: Path, report: int) -> None:
    done: Counter[str] = Counter()
    while True:
        done[ROLES[role](root, driver_root)] += 1
        if time.monotonic() > until:
            break
    os.write(report, (json.dumps(done) + "\n").encode())


def main(roles: list[str], seconds: float, root: Path, driver_root: Path) -> int:
    reading, report = os.pipe()
    until = time.monotonic() + seconds
    children = []
    for role in roles:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                play(role, until, root, driver_root, report)
                status = 0
            finally:
                if status:
                    sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
                os._exit(status)
        children.append(child)
    os.close(report)
    total: Counter[str] = Counter()
    with open(reading) as stream:
        for line in stream:
            total.update(json.loads(line))
    json.dump(total, sys.stdout)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    return int(any(statuses))


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(words[0].split(","), float(words[1]), Path(words[2]), Path(words[3])))
