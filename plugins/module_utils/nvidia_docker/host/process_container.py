# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which container a process runs, by its control group. ``root``: where proc is looked up."""

from __future__ import annotations

import re
from pathlib import Path

_ID = re.compile(r"(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:/|$)", re.MULTILINE)
"""Docker, Podman, containerd and CRI-O all name the group by the identifier, some with a prefix:
``/docker/ID``, ``/system.slice/docker-ID.scope``, ``/machine.slice/libpod-ID.scope/container``,
``cri-containerd-ID.scope``, ``/k8s.io/ID``."""


def container_id(root: Path, pid: int) -> str | None:
    """Return the identifier of the innermost container, ``None`` outside of one or if it ended."""
    try:
        lines = (root / "proc" / str(pid) / "cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return None
    # 0::/path, or 4:devices:/path in version 1.
    found = [identifier for line in lines for identifier in _ID.findall(line.split(":", 2)[-1])]
    return found[-1] if found else None
