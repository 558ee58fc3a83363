# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs are started with the user's environment and their output is collected."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import process


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("echo out; echo err >&2", (0, "out\n", "err\n")),
        ("exit 3", (3, "", "")),
        ("kill -9 $$", (-9, "", "")),
        ("cat", (0, "", "")),
        (r"printf '\377'", (0, "\N{REPLACEMENT CHARACTER}", "")),
        ("head -c 300000 /dev/zero | tr '\\0' x >&2", (0, "", "x" * 300000)),
    ],
)
def test_outcome(script: str, outcome: tuple[int, str, str]) -> None:
    """Status, output and errors, however much it is; nothing to read."""
    assert process.start(("sh", "-c", script)).wait() == outcome


def test_output_elsewhere(tmp_path) -> None:
    """Standard output goes to a given descriptor."""
    with open(tmp_path / "out", "w+") as out:
        assert process.start(("sh", "-c", "echo out"), out.fileno()).wait() == (0, "", "")
        out.seek(0)
        assert out.read() == "out\n"


def test_a_conversation() -> None:
    """Both ends of a program on one socket, its errors apart."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            script = "read word; echo $word 2; echo err >&2"
            started = process.start(("sh", "-c", script), theirs.fileno(), theirs.fileno())
        ours.sendall(b"1\n")
        assert ours.makefile().read() == "1 2\n"
    assert started.wait() == (0, "", "err\n")


@pytest.mark.parametrize(
    ("script", "seconds", "status"),
    [
        ("exit 3", 10, 3),
        ("exec sleep 60", 0, -signal.SIGTERM),
        ("exec sleep 60", 0.02, -signal.SIGTERM),
        ("trap '' TERM; echo; sleep 60", 0, -signal.SIGKILL),
    ],
)
def test_end(script: str, seconds: float, status: int) -> None:
    """Waited for, told to end, killed; reaped in any case."""
    reader, writer = os.pipe()
    started = process.start(("sh", "-c", script), writer)
    os.close(writer)
    if "trap" in script:
        os.read(reader, 1)
    assert started.end(seconds)[0] == status
    os.close(reader)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_no_program_leaves_nothing_open() -> None:
    """A program that is not there is an OSError."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        process.start(("no-such-program",))
    assert os.listdir("/proc/self/fd") == before


def test_what_python_ignores_is_not_handed_on() -> None:
    """Python ignores SIGPIPE (13) and SIGXFSZ (25), its children don't."""
    _dummy, output, _dummy = process.start(("grep", "SigIgn", "/proc/self/status")).wait()
    # Others can be the user's wish: nohup ignores SIGHUP.
    assert int(output.split()[1], 16) & (1 << 12 | 1 << 24) == 0


def test_a_failed_replace_changes_nothing() -> None:
    """Else the next write to a closed socket would end this process."""
    before = signal.getsignal(signal.SIGPIPE)
    with pytest.raises(FileNotFoundError):
        process.replace(("no-such-program",))
    assert signal.getsignal(signal.SIGPIPE) is before is not signal.SIG_DFL
