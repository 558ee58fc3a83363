# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_report runs on the controller only: it asks no host."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils import controller_file, fleet, fleet_report, fleet_table


class ActionModule(ActionBase):
    """Puts what the hosts have answered together."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str", "required": True},
                "facts": {"type": "str", "required": True},
                "accepted": {"type": "str"},
                "path": {"type": "path"},
            }
        )[1]
        hostvars = (task_vars or {})["hostvars"]
        hosts = [
            fleet.read_host(
                name,
                fleet.registered(hostvars, name, arguments["facts"]),
                fleet.accepted_findings(hostvars, name, arguments["accepted"]),
            )
            for name in arguments["hosts"]
        ]
        result["lines"] = [*fleet_table.lines(hosts), fleet_table.summary(hosts)]
        result["files"] = []
        if arguments["path"]:
            folder = Path(arguments["path"]).absolute()
            now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            result["files"] = [str(folder / name) for name in fleet_report.FILES]
            result["changed"] = True
            if not self._task.check_mode:
                _write(folder, fleet_report.files(hosts, now))
        return result


def _write(folder: Path, files: dict[str, str]) -> None:
    try:
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            controller_file.replace(folder / name, text)
    except OSError as error:
        raise AnsibleActionFail(f"the report can't be written to {folder}: {error}") from error
