# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes each task's result to the file that RECORDED names, one JSON object per line."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: recorder
type: notification
short_description: Records the results of tasks
description: [For tests.]
"""


class CallbackModule(CallbackBase):
    """One line per host and task: play, task, host, state, result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorder"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_play_start(self, play):
        self._play_name = play.get_name()
        self._started = {}

    def v2_runner_on_start(self, host, task):
        self._started[host.get_name(), task._uuid] = time.perf_counter()

    def v2_runner_on_ok(self, result):
        self._write("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write("failed", result)

    def v2_runner_on_skipped(self, result):
        self._write("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._write("unreachable", result)

    def _write(self, state, result):
        now = time.perf_counter()
        started = self._started.get((result._host.get_name(), result._task._uuid), now)
        line = {
            "seconds": now - started,
            "play": self._play_name,
            "task": result._task.get_name(),
            "host": result._host.get_name(),
            "state": state,
            # As Ansible shows it: what a task with no_log must not show is not here either.
            "result": json.loads(self._dump_results(result._result, indent=None)),
        }
        with open(os.environ["RECORDED"], "a", encoding="utf-8") as file:
            print(json.dumps(line), file=file)
