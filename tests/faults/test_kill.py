# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that makes or removes a driver volume is killed at each of its steps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.tests.faults import tools

PROGRAM = Path(__file__).with_name("kill_at_each_step.py")


@pytest.mark.parametrize(
    ("scenario", "link", "least_steps"),
    [
        ("first", "hard", 35),
        ("first", "copy", 60),
        ("again", "hard", 60),
        ("upgraded", "hard", 50),
        ("upgraded", "copy", 80),
        ("no exchange", "hard", 60),
        ("in the way", "hard", 30),
        ("remove", "hard", 20),
        ("remove left over", "hard", 6),
    ],
)
def test_kill_at_each_step(tmpfs, scenario: str, link: str, least_steps: int) -> None:
    base = tmpfs("base")
    store = base / "store" if link == "hard" else tmpfs("store")
    tools.install(base / "driver", b"new")
    tools.install(base / "old", b"old")
    (base / "canary").mkdir()
    (base / "canary/file").write_text("precious")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(base), str(store), scenario],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    print(len(steps), "steps:", dict(Counter(steps)))
    assert len(steps) >= least_steps
