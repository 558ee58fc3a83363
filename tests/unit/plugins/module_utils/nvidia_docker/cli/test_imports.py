# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is imported before the first docker is started: each module adds to every docker command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils import nvidia_docker

PACKAGE = Path(next(iter(nvidia_docker.__path__)))
OURS = {
    "nvidia_docker",
    "nvidia_docker.cli",
    "nvidia_docker.cli.docker_command",
    "nvidia_docker.cli.environment",
    "nvidia_docker.cli.main",
    "nvidia_docker.errors",
    "nvidia_docker.host",
    "nvidia_docker.host.docker",
    "nvidia_docker.host.process",
}
OPTIONS = "nvidia_docker.cli.docker_options"
REQUEST = "nvidia_docker.cli.gpu_request"
# os and what it consists of (errno since Python 3.13), and the start of every file; os.execvpe has
# warnings (0.4 ms).
STANDARD_LIBRARY = {
    "__future__",
    "_collections_abc",
    "_stat",
    "abc",
    "collections",
    "collections.abc",
    "errno",
    "genericpath",
    "os",
    "os.path",
    "posixpath",
    "stat",
    "warnings",
}
# Python itself tells when a program is about to be started, or to be become.
PROGRAM = """
import sys
at_start = set(sys.modules)

def tell(event):
    names = sorted(set(sys.modules) - at_start)
    sys.stdout.write(" ".join([event, *names]))
    sys.stdout.flush()
    sys.modules["os"]._exit(0)

if {until_a_thread!r}:
    import threading
    threading.Thread.start = lambda thread: tell("thread")
else:
    programs = ("os.posix_spawn", "os.exec")
    sys.addaudithook(lambda event, arguments: event in programs and tell(event))
sys.path.append({library!r})
from nvidia_docker.cli.main import main
sys.exit(main(["nvidia-docker", *sys.argv[1:]]))
"""


def imported(folder: Path, words: list[str], until_a_thread: bool) -> tuple[str, set[str]]:
    """Run the command up to its first thread or program, and return what it has imported."""
    docker = folder / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    program = PROGRAM.format(library=str(PACKAGE.parent), until_a_thread=until_a_thread)
    done = subprocess.run(
        [os.path.realpath(sys.executable), "-ISc", program, *words],
        env={"PATH": f"{folder}:/usr/bin:/bin", "NV_GPU": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    event, *names = done.stdout.split()
    return event, set(names)


@pytest.mark.parametrize(
    ("words", "event", "more"),
    [
        (["ps", "-a"], "os.exec", set()),
        (["--context", "lab", "compose", "up"], "os.exec", {OPTIONS}),
        (["run", "-itv/a:/b", "--name=x", "cuda", "ls"], "os.posix_spawn", {OPTIONS}),
        (["run", "--runtime=runc", "cuda"], "os.posix_spawn", {OPTIONS, REQUEST}),
        (["container", "create", "cuda"], "os.posix_spawn", set()),
    ],
    ids=[
        "pass-through",
        "global option",
        "run with options",
        "run with a runtime",
        "create without",
    ],
)
def test_nothing_else_is_imported_before_docker_starts(tmp_path, words, event, more) -> None:
    """Neither for what docker does alone, nor before the engine is asked for an image."""
    first, names = imported(tmp_path, words, until_a_thread=False)
    assert first == event
    assert {name for name in names if name.startswith("nvidia_docker")} == OURS | more
    assert {name for name in names if not name.startswith("nvidia_docker")} <= STANDARD_LIBRARY


def test_one_thread_imports_what_makes_dataclasses(tmp_path) -> None:
    """One that is made while another thread imports typing fails, now and then."""
    event, names = imported(tmp_path, ["run", "cuda"], until_a_thread=True)
    assert event == "thread"
    assert {"typing", "nvidia_docker.cli.local", "nvidia_docker.selection"} <= names
