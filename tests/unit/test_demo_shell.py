# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make demo-shell` without a terminal, and without a demo."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "demo" / "shell.sh"
DOCKER = """#!/bin/sh
case "$1" in
  container) {inspect} ;;
  *) echo "$@" ;;
esac
"""


@pytest.mark.parametrize(
    ("inspect", "status", "stdout", "stderr"),
    [
        ("echo true", 0, "exec --interactive gpufleet-demo bash\n", ""),
        ("echo false", 1, "", "Error: there is no running demo host gpufleet-demo"),
        ("exit 1", 1, "", "Error: there is no running demo host gpufleet-demo"),
    ],
    ids=["piped", "stopped", "none"],
)
def test_demo_shell(tmp_path, inspect, status, stdout, stderr) -> None:
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.format(inspect=inspect))
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment.pop("GPUFLEET_DEMO", None)
    done = subprocess.run(
        [SCRIPT],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, stdout)
    assert done.stderr.startswith(stderr)
