# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.common.validation import check_type_dict, check_type_list
from ansible.plugins.action import ActionBase
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import (
    docker_container,
)

PLAN = "gpufleet.nvidia.nvidia_container"
CONTAINER = "community.docker.docker_container"

PLANNED = (
    "docker_host",
    "docker_url",
    "gpus",
    "image",
    "name",
    "platform",
    "pull",
    "recreate",
    "shared",
    "state",
)
"""Options that the plan on the host needs."""

OURS = ("gpus", "shared")
"""Those of them that docker_container does not have."""

_PULL = {True: "always", False: "missing"}
"""docker_container's older names."""

_MERGED: dict[str, Callable[[Any], Any]] = {
    "devices": check_type_list,
    "env": check_type_dict,
    "labels": check_type_dict,
    "mounts": check_type_list,
    "tmpfs": check_type_list,
    "volumes": check_type_list,
}
"""Options that are looked into, and who reads the forms that a module's would have."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Plans on the host, then runs docker_container with the plan and the user's options."""

    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        if not self._shared_loader_obj.module_loader.find_plugin_with_context(CONTAINER).resolved:
            return _failure(
                "collection community.docker is not installed on the controller: run "
                "'ansible-galaxy collection install community.docker'"
            )
        options = {key: value for key, value in self._task.args.items() if value is not None}
        plan: dict[str, Any] = self._execute_module(
            module_name=PLAN, module_args=planned(options), task_vars=task_vars
        )
        if plan.get("failed"):
            return plan
        if "not_checked" in plan:
            return {"changed": plan["changed"], "warnings": [f"not checked: {plan['not_checked']}"]}
        try:
            merged = merge(options, plan)
        except (NvidiaDockerError, TypeError) as error:
            result = _failure(str(error))
        else:
            made: dict[str, Any] = self._execute_module(
                module_name=CONTAINER, module_args=merged, task_vars=task_vars
            )
            result = join(plan, made)
        # From now on the container's labels tell which GPUs are its own, if it was made.
        if plan.get("lease"):
            self._low_level_execute_command(self._connection._shell.remove(plan["lease"]))
        return result


def planned(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the plan."""
    arguments = {key: options[key] for key in PLANNED if key in options}
    if isinstance(arguments.get("pull"), bool):
        arguments["pull"] = _PULL[arguments["pull"]]
    return arguments


def merge(options: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of docker_container.

    Raises NvidiaDockerError if the user's options are at odds with the plan, TypeError if they are
    of another type than docker_container's.
    """
    merged = {key: value for key, value in options.items() if key not in OURS}
    if "options" in plan:
        for key, read in _MERGED.items():
            if key in merged:
                merged[key] = _read(key, read, merged[key])
        merged = docker_container.merge(merged, plan["options"])
    return {**merged, **plan["overrides"]}


def join(plan: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Return docker_container's result with what the plan has to add."""
    joined = {**result, "changed": bool(plan["changed"] or result.get("changed"))}
    for key in ("warnings", "deprecations"):
        if plan.get(key):
            joined[key] = [*plan[key], *joined.get(key, ())]
    if "msg" in joined:
        joined["msg"] = joined["msg"].replace(CONTAINER, PLAN)
    if "nvidia" in plan:
        joined["nvidia"] = plan["nvidia"]
        found = plan["nvidia"]["differences"]
        if found and isinstance(joined.get("diff"), dict):
            joined["diff"] = {**joined["diff"], "prepared": "".join(f"{one}\n" for one in found)}
    return joined


def _read(key: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except TypeError as error:
        raise TypeError(f"argument '{key}' can't be read: {error}") from None


def _failure(message: str) -> dict[str, Any]:
    return {"failed": True, "msg": message}
