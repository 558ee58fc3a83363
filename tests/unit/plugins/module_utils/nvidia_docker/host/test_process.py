# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs are started with the user's environment and their output is collected."""

from __future__ import annotations

import os
import signal

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


def test_no_program_leaves_nothing_open() -> None:
    """A program that is not there is an OSError."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        process.start(("no-such-program",))
    assert os.listdir("/proc/self/fd") == before


def test_no_signal_stays_ignored() -> None:
    """Python ignores SIGPIPE, its children don't."""
    _dummy, output, _dummy = process.start(("grep", "SigIgn", "/proc/self/status")).wait()
    # Bits of 32 and 33: signals of glibc's own, which its posix_spawn ignores.
    assert int(output.split()[1], 16) & ~(1 << 31 | 1 << 32) == 0


def test_a_failed_replace_changes_nothing() -> None:
    """Else the next write to a closed socket would end this process."""
    before = signal.getsignal(signal.SIGPIPE)
    with pytest.raises(FileNotFoundError):
        process.replace(("no-such-program",))
    assert signal.getsignal(signal.SIGPIPE) is before is not signal.SIG_DFL
