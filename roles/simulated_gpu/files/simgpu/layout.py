# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything lies on a simulated host."""

from __future__ import annotations

import platform
import sysconfig
from pathlib import Path

PROGRAM = Path("/usr/local/lib/simulated-gpu")
COMMAND = Path("/usr/local/sbin/simulated-gpu")
MACHINE = Path("/etc/simulated-gpu.json")
UNIT = Path("/etc/systemd/system/simulated-gpu.service")
DROP_INS = tuple(
    Path(f"/etc/systemd/system/{unit}.service.d/simulated-gpu.conf")
    for unit in ("nvidia-docker-plugin", "nvidia-docker-cdi")
)
"""For units that read what the driver says in /proc."""
STATE = Path("/var/lib/simulated-gpu")
MANIFEST = STATE / "manifest.json"
LOCK = Path("/run/simulated-gpu.lock")

# Gone with a reboot, as everything that a driver makes in /dev, /proc and /sys.
RUN = Path("/run/simulated-gpu")
CHANGED_MACHINE = RUN / "machine.json"
MADE_NODES = RUN / "nodes.json"

PROGRAMS = Path("/usr/bin")


def libraries() -> Path:
    """The library directory of the host's own architecture, as Debian names it."""
    triplet = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    return Path("/usr/lib") / triplet
