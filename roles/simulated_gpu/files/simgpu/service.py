# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd unit that brings the simulated hardware up at each boot."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

from . import layout
from .files import holds, replace_text
from .machine import SimulationError

_UNIT = f"""\
[Unit]
Description=Simulated NVIDIA driver: device nodes and kernel files
Before=docker.service containerd.service nvidia-persistenced.service
Before=nvidia-docker-plugin.service nvidia-docker-cdi.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={layout.COMMAND} up

[Install]
WantedBy=multi-user.target
"""
# Some versions of systemd give a sandbox a /proc of its own, without what covers the host's.
_DROP_IN = """\
[Service]
BindReadOnlyPaths=-/proc/driver
"""
_ENABLED = layout.UNIT.parent / "multi-user.target.wants" / layout.UNIT.name


def is_installed() -> bool:
    return (
        holds(layout.UNIT, _UNIT)
        and all(holds(path, _DROP_IN) for path in layout.DROP_INS)
        and _ENABLED.is_symlink()
    )


def install() -> None:
    """Enabled by hand, so that it works in an image that is being made, where no systemd runs."""
    _ENABLED.parent.mkdir(parents=True, exist_ok=True)
    for path in layout.DROP_INS:
        path.parent.mkdir(exist_ok=True)
        replace_text(path, _DROP_IN)
    replace_text(layout.UNIT, _UNIT)
    _ENABLED.unlink(missing_ok=True)
    _ENABLED.symlink_to(layout.UNIT)
    if _running():
        _systemctl("daemon-reload")


def is_stopped() -> bool:
    return _running() and not _is_active()


def start() -> None:
    """For units that want this one; the host is up already."""
    if _running():
        _systemctl("start", "--no-block", layout.UNIT.name)


def remove() -> None:
    if _running() and layout.UNIT.exists():
        _systemctl("stop", layout.UNIT.name)
    _ENABLED.unlink(missing_ok=True)
    layout.UNIT.unlink(missing_ok=True)
    for path in layout.DROP_INS:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            # Not if it holds drop-ins of others.
            path.parent.rmdir()
    if _running():
        _systemctl("daemon-reload")


def _running() -> bool:
    return os.path.isdir("/run/systemd/system")


def _is_active() -> bool:
    done = subprocess.run(["systemctl", "is-active", "--quiet", layout.UNIT.name], check=False)
    return done.returncode == 0


def _systemctl(*arguments: str) -> None:
    command: list[str] = ["systemctl", *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SimulationError(f"{' '.join(command)} failed: {done.stdout.strip()}")
