# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs many plays in one start of ansible-playbook, and gives each task's result."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CALLBACKS = Path(__file__).parent / "callback"
_TIMEOUT_S = 1200


@dataclass(frozen=True)
class Recorded:
    """What a task returned on a host."""

    play: str
    task: str
    host: str
    state: str
    """``ok``, ``failed``, ``skipped``, ``unreachable``."""
    result: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Recording:
    """All of a run, in order."""

    tasks: tuple[Recorded, ...]
    output: str

    def of(self, play: str) -> tuple[Recorded, ...]:
        """Return the tasks of a play."""
        found = tuple(one for one in self.tasks if one.play == play)
        assert found, f"no task of play {play!r} was run:\n{self.output[-3000:]}"
        return found

    def result(self, play: str) -> dict[str, Any]:
        """Return the result of the last task of a play."""
        return self.of(play)[-1].result


def play(name: str, tasks: object, **more: Any) -> dict[str, Any]:
    """Return a play on the hosts of group gpus that goes on when a task fails."""
    return {
        "name": name,
        "hosts": "gpus",
        "gather_facts": False,
        "ignore_errors": True,
        "tasks": tasks,
        **more,
    }


def run(folder: Path, plays: Sequence[object], *flags: str) -> Recording:
    """Run plays on the inventory in ``folder``, with the checkout's ansible.cfg.

    That a play fails is no error.
    """
    book, record = folder / "recorded.yml", folder / "recorded.jsonl"
    book.write_text(json.dumps(plays))
    record.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "recorder",
        "RECORDED": str(record),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        ["ansible-playbook", "-i", "inventory", *flags, str(book)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert record.exists(), done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    tasks = [Recorded(**json.loads(line)) for line in record.read_text().splitlines()]
    return Recording(tuple(tasks), done.stdout)
