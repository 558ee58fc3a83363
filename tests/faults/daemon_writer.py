# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""daemon_writer.py FOLDER STATE COMMAND ...: changes FOLDER/daemon.json, as a process of its own.

Commands: ``label NAME`` puts in a label, 20 times another one; ``kill present|absent`` dies before
each of its steps, as kill_at_each_step.py does, and prints these as a list of JSON.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".dev"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    daemon_change,
    daemon_file,
    daemon_plan,
    daemon_state,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.docker_daemon import (  # noqa: E501
    Daemon,
    process,
)
from ansible_collections.gpufleet.nvidia.tests.faults.kill_at_each_step import in_fork

BEFORE = '{"features": { "buildkit":true },  "log-opts": {"max-size": "1m"}}'
WANTED: dict[str, Any] = {"features": {"cdi": True}, "log-opts": {"max-size": "9m"}}
OTHER: dict[str, Any] = {"log-opts": {"max-size": "5m"}, "labels": ["gpu=yes"]}
FIRST = Daemon(None, (26, 1), process=process(1))
"""What a note is about: a process that stays. It has no dockerd's socket, nobody asks it."""


class Host:
    """A daemon.json, and what is kept beside it."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.file = folder / "daemon.json"
        daemon_state.STATE, daemon_state.RUN = state / "state", state / "run"

    def change(self, config: dict[str, Any], present: bool = True) -> daemon_plan.Change:
        """As the module does it, without following."""
        request = daemon_plan.Request(str(self.file), config, present)
        with daemon_file.locked(self.file):
            change = daemon_plan.plan(self.file, request, FIRST)
            daemon_change.write(change)
        return change


def add_labels(host: Host, name: str) -> None:
    for number in range(20):
        host.change({"labels": [f"{name}{number}=x"]})


def kill(host: Host, how: str) -> list[str]:
    """Put in, or give back, with a kill before each step; then do it again."""
    steps = []
    for number in itertools.count():
        for folder in (daemon_state.STATE, daemon_state.RUN):
            shutil.rmtree(folder, ignore_errors=True)
        host.file.write_text(BEFORE)
        if how == "absent":
            host.change(WANTED)
            host.change(OTHER)
        before = host.file.read_text()
        wanted = {**WANTED, **OTHER} if how == "absent" else WANTED
        ended, step = in_fork(lambda: act(host, wanted, how), number)  # noqa: B023
        texts = {before, *((host.file.read_text(),) if ended else ())}
        if not ended:
            left = host.file.read_text()
            again = host.change(wanted, how == "present")
            texts.add(host.file.read_text())
            assert left in texts, f"killed before step {number}, {step}: {left}"
            # The next run knows what dockerd has not followed; what it had before it has now.
            assert again.need == ("none" if how == "absent" else "restart"), step
            assert set(again.needs) == (set() if how == "absent" else set(WANTED)), step
        check(host, how)
        if ended:
            return steps
        steps.append(step)
    raise AssertionError


def act(host: Host, config: dict[str, Any], how: str) -> None:
    host.change(config, how == "present")


def check(host: Host, how: str) -> None:
    """Whatever happened on the way, everything can be given back, and nothing lies around."""
    if how == "present":
        assert json.loads(host.file.read_text()) == {
            "features": {"buildkit": True, "cdi": True},
            "log-opts": {"max-size": "9m"},
        }
        back = host.change(WANTED, present=False)
        assert back.kept == ()
    assert host.file.read_text() == BEFORE
    assert [path.name for path in host.file.parent.iterdir()] == ["daemon.json"]
    for folder in (daemon_state.STATE, daemon_state.RUN):
        assert len(list(folder.iterdir())) == 1


if __name__ == "__main__":
    _host = Host(Path(sys.argv[1]), Path(sys.argv[2]))
    if sys.argv[3] == "label":
        add_labels(_host, sys.argv[4])
    else:
        json.dump(kill(_host, sys.argv[4]), sys.stdout)
