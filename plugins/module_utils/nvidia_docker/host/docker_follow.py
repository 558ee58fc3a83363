# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a running Docker follow its daemon.json, and finds out whether it did."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

from ..errors import NvidiaDockerError
from . import docker_api, docker_daemon
from .docker_daemon import Process
from .docker_unit import UNIT

RELOAD_SECONDS = 10
"""For what dockerd takes some milliseconds: it tells of a reload that it took, only."""
RESTART_SECONDS = 300
"""Time to stop the containers included."""
API_SECONDS = 60
_PAUSE = 0.1

_REASON = re.compile(
    r"^(?P<start>(?:unable to configure|failed to start|failed to load).*)$"
    r'|level=(?:error|fatal) msg="(?P<msg>(?:[^"\\]|\\.)*)"'
    r'(?: error="(?P<error>(?:[^"\\]|\\.)*)")?',
    re.MULTILINE,
)


class Refused(NvidiaDockerError):
    """Docker does not follow; the message is its reason."""


def reload(process: Process, socket: str | None) -> None:
    """Send SIGHUP to a dockerd and wait until it has taken the file. Raises Refused.

    A dockerd that refuses goes on with what it had. One without a unix socket can't be asked.
    """
    since = time.time()
    try:
        os.kill(process.pid, signal.SIGHUP)
    except OSError as error:
        raise Refused(f"process {process.pid} can't be told to reload: {error.strerror}") from error
    deadline = time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < deadline:
        if docker_daemon.process(process.pid) != process:
            raise Refused(_reason(since) or "dockerd ended when it was told to reload")
        if socket is not None and docker_api.reloaded(socket, since, time.time()):
            return
        time.sleep(_PAUSE)
    if socket is not None:
        raise Refused(_reason(since) or f"dockerd took no reload in {RELOAD_SECONDS} s")


def restart(socket: str | None) -> None:
    """Restart Docker's unit, or start it, and wait for its API. Raises Refused."""
    since = time.time()
    # After some failed starts systemd refuses the next one.
    _systemctl("reset-failed", UNIT, "docker.socket")
    if not _systemctl("restart", UNIT):
        raise Refused(_reason(since) or f"'systemctl restart {UNIT}' failed")
    deadline = time.monotonic() + API_SECONDS
    while socket is not None and not docker_api.answers(socket):
        if time.monotonic() > deadline:
            raise Refused(_reason(since) or f"its API does not answer at {socket}")
        time.sleep(_PAUSE)


def _systemctl(*arguments: str) -> bool:
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # no Ansible here
            ("systemctl", *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RESTART_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _reason(since: float) -> str | None:
    """Return the last complaint of Docker in the journal since then."""
    command = ("journalctl", f"--unit={UNIT}", "--identifier=dockerd", f"--since=@{int(since)}")
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # no Ansible here
            (*command, "--output=cat", "--no-pager"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=API_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    text = done.stdout.decode(errors="replace")
    found = list(_REASON.finditer(text))
    # systemd tries again by itself, and the first try tells most.
    starts = [one["start"] for one in found if one["start"]]
    if starts:
        return starts[0].strip()
    said = [": ".join(filter(None, (one["msg"], one["error"]))) for one in found]
    if said:
        return said[-1].replace('\\"', '"')
    # Some errors end dockerd without a word of its own before them.
    plain = [line for line in text.splitlines() if line and not line.startswith("time=")]
    return plain[-1] if plain else None
