# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/site.yml refuses options of containers that it would not pass on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
(PLAY,) = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
(CHECK,) = PLAY["pre_tasks"]


def test_the_known_options_are_those_that_are_passed_on() -> None:
    (run,) = PLAY["tasks"]
    passed = run["gpufleet.nvidia.nvidia_container"]
    assert PLAY["vars"]["gpufleet_container_options"] == list(passed)


@pytest.mark.parametrize(
    ("containers", "status", "says"),
    [
        ([{"name": "x", "gpus": 1}, {"name": "y", "image": "z"}], 0, ""),
        ([], 0, ""),
        ([{"name": "x", "gpu": 1}], 2, "gpufleet_containers has gpu, which is none of name, image"),
    ],
)
def test_a_mistyped_option_is_named(tmp_path, containers, status, says) -> None:
    play = {"hosts": "localhost", "gather_facts": False, "vars": PLAY["vars"], "tasks": [CHECK]}
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps([play]))
    given = json.dumps({"gpufleet_containers": containers})
    command = ["-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "-e", given]
    done = subprocess.run(
        [sys.executable, *command, playbook], capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert says in " ".join(done.stdout.split())
