# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_verdict runs on the controller only: it asks no host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils import controller_file, doctor, fleet


class ActionModule(ActionBase):
    """Turns what the hosts have answered into findings."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        checks = {check: {"type": "str"} for check in doctor.CHECKS}
        checks["facts"]["required"] = True
        arguments = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str", "required": True},
                "results": {"type": "dict", "required": True, "options": checks},
                "accepted": {"type": "str"},
                "path": {"type": "path"},
            }
        )[1]
        hostvars = (task_vars or {})["hostvars"]
        found = {}
        for name in arguments["hosts"]:
            told = {
                check: fleet.registered(hostvars, name, variable)
                for check, variable in arguments["results"].items()
                if variable
            }
            accepted = fleet.accepted_findings(hostvars, name, arguments["accepted"])
            found[name] = doctor.examine(name, told, accepted)
        open_findings = {
            name: list(filter(doctor.needs_action, findings)) for name, findings in found.items()
        }
        verdict = {
            "ok": not any(open_findings.values()),
            "hosts": {
                name: {"ok": not open_findings[name], "findings": list(map(vars, findings))}
                for name, findings in found.items()
            },
        }
        result.update(verdict)
        result["lines"] = [
            doctor.sentence(name, one)
            for name, findings in open_findings.items()
            for one in findings
        ]
        if arguments["path"]:
            result["changed"] = True
            if not self._task.check_mode:
                _write(Path(arguments["path"]).absolute(), verdict)
        return result


def _write(path: Path, verdict: dict[str, Any]) -> None:
    try:
        controller_file.replace(path, json.dumps(verdict, indent=2) + "\n")
    except OSError as error:
        raise AnsibleActionFail(f"the verdict can't be written to {path}: {error}") from error
