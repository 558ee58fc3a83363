# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.validation import check_type_dict, check_type_list
from ansible.plugins.action import ActionBase
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import (
    docker_container_options,
)

try:
    # Since ansible-core 2.19: what its own actions package, service and gather_facts use.
    from ansible.executor.module_common import _apply_action_arg_defaults
except ImportError:
    _apply_action_arg_defaults = None

PLAN = "gpufleet.nvidia.nvidia_container"
CONTAINER = "community.docker.docker_container"

PLANNED = (
    "capabilities",
    "docker_host",
    "docker_url",
    "env",
    "env_file",
    "gpus",
    "image",
    "injection",
    "name",
    "platform",
    "pull",
    "recreate",
    "requirements",
    "shared",
    "state",
)
"""Options that the plan on the host needs."""

OURS = ("capabilities", "gpus", "injection", "requirements", "shared")
"""Those of them that docker_container does not have."""

_READ_VARIABLES = ("CUDA_VERSION", "LD_LIBRARY_PATH", "PATH")
_READ_PREFIX = "NVIDIA_"
"""The variables of the container that the plan reads; the others are not its business."""

_PULL = {True: "always", False: "missing"}
"""docker_container's older names."""

_JOB = "ansible.legacy.async_status"


def _dictionaries(value: Any) -> list[dict[str, Any]]:
    return [check_type_dict(one) for one in check_type_list(value)]


_MERGED: dict[str, Callable[[Any], Any]] = {
    "device_requests": _dictionaries,
    "devices": check_type_list,
    "env": check_type_dict,
    "groups": check_type_list,
    "labels": check_type_dict,
    "mounts": _dictionaries,
    "tmpfs": check_type_list,
    "volumes": check_type_list,
}
"""Options that are looked into, and who reads the forms that a module's would have."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Plans on the host, then runs docker_container with the plan and the user's options."""

    _supports_check_mode = True
    _supports_async = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        if not self._shared_loader_obj.module_loader.find_plugin_with_context(CONTAINER).resolved:
            return _failure(
                "collection community.docker is not installed on the controller: run "
                "'ansible-galaxy collection install community.docker'"
            )
        try:
            options = read(self._with_defaults())
        except TypeError as error:
            return self._ended(_failure(str(error)))
        plan: dict[str, Any] = self._execute_module(
            module_name=PLAN, module_args=planned(options), task_vars=task_vars
        )
        if plan.get("failed"):
            return self._ended(plan)
        if "not_checked" in plan:
            warnings = [f"not checked: {plan['not_checked']}"]
            return self._ended({"changed": plan["changed"], "warnings": warnings})
        try:
            merged = merge(options, plan)
        except NvidiaDockerError as error:
            result = self._ended(_failure(str(error)))
        else:
            result = self._make(plan, merged, task_vars)
        # From now on the container's labels tell which GPUs are its own, if it was made. That of a
        # job that goes on expires by itself.
        if plan.get("lease") and not _goes_on(result):
            self._low_level_execute_command(self._connection._shell.remove(plan["lease"]))
        return result

    def _with_defaults(self) -> dict[str, Any]:
        """Return the task's options, and what module_defaults have for docker_container and for
        its action groups."""
        task = self._task
        given = {key: value for key, value in task.args.items() if value is not None}
        if _apply_action_arg_defaults is not None:
            found = _apply_action_arg_defaults(CONTAINER, task, given, self._templar)
        else:
            from ansible.executor.module_common import get_action_args_with_defaults

            groups = task._parent._play._action_groups
            found = get_action_args_with_defaults(
                CONTAINER, given, task.module_defaults, self._templar, action_groups=groups
            )
        return {key: value for key, value in found.items() if value is not None}

    def _make(
        self, plan: dict[str, Any], merged: dict[str, Any], task_vars: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Run docker_container."""
        # In check mode it does not call a change of limits one, but has it in its diff.
        predicting = self._task.check_mode
        made: dict[str, Any] = self._execute_module(
            module_name=CONTAINER,
            module_args={**merged, "debug": True} if predicting else merged,
            task_vars=task_vars,
            wrap_async=bool(self._task.async_val),
        )
        if self._task.async_val and "ansible_job_id" in made:
            if not self._task.poll:
                return join(plan, made)
            made = self._awaited(made["ansible_job_id"], task_vars)
        if predicting:
            made = predicted(made, bool(self._task.diff or merged.get("debug")))
        return self._ended(join(plan, made))

    def _awaited(self, job: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Wait for a job, as ansible-core does, whose result would lack what is ours."""
        left = self._task.async_val
        while left > 0:
            time.sleep(self._task.poll)
            left -= self._task.poll
            try:
                told = self._asked(job, "status", task_vars)
            except AnsibleConnectionFailure:  # of a moment; the job goes on
                continue
            if told.get("finished"):
                self._asked(job, "cleanup", task_vars)
                return {key: value for key, value in told.items() if key not in _OF_JOBS}
        return {
            **_failure(
                f"the container was not made within {self._task.async_val} s, as 'async' demands; "
                f"docker_container goes on in job {job}"
            ),
            "ansible_job_id": job,
        }

    def _asked(self, job: str, mode: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        task = self._task.copy()
        task.async_val = 0
        task.args = {"jid": job, "mode": mode}
        action = self._shared_loader_obj.action_loader.get(
            _JOB,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        told: dict[str, Any] = action.run(task_vars=task_vars)
        return told

    def _ended(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result that ansible-core is not to wait for: there is no job any more."""
        self._task.async_val = 0
        return result


_OF_JOBS = (
    "ansible_job_id",
    "finished",
    "results_file",
    "started",
    "stderr",
    "stderr_lines",
    "stdout",
    "stdout_lines",
)
"""What async_status adds to the result of a job."""


def _goes_on(result: dict[str, Any]) -> bool:
    return "ansible_job_id" in result


def read(options: dict[str, Any]) -> dict[str, Any]:
    """Return the user's options in the forms that a module would have them in.

    Raises TypeError for one of another type than docker_container's.
    """
    forms = {key: _read(key, form, options[key]) for key, form in _MERGED.items() if key in options}
    return {**options, **forms}


def planned(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the plan."""
    arguments = {key: options[key] for key in PLANNED if key in options}
    if isinstance(arguments.get("pull"), bool):
        arguments["pull"] = _PULL[arguments["pull"]]
    if "env" in arguments:
        env = {
            name: value
            for name, value in arguments["env"].items()
            if str(name).startswith(_READ_PREFIX) or name in _READ_VARIABLES
        }
        arguments["env"] = env
    return arguments


def merge(options: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of docker_container.

    Raises NvidiaDockerError if the user's options are at odds with the plan.
    """
    merged = {key: value for key, value in options.items() if key not in OURS}
    if "options" in plan:
        merged = docker_container_options.merge(merged, plan["options"])
    return {**merged, **plan["overrides"]}


def predicted(made: dict[str, Any], diff: bool) -> dict[str, Any]:
    """Return what docker_container says in check mode, with what it forgets: ``changed`` if only
    limits or the restart policy differ. Its diff is left out where the user wants none."""
    told = made.get("diff") or {}
    changed = bool(made.get("changed") or told.get("before") or told.get("after"))
    shown = made if diff else {key: value for key, value in made.items() if key != "diff"}
    return {**shown, "changed": changed}


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


def _read(key: str, form: Callable[[Any], Any], value: Any) -> Any:
    try:
        return form(value)
    except TypeError as error:
        raise TypeError(f"argument '{key}' can't be read: {error}") from None


def _failure(message: str) -> dict[str, Any]:
    return {"failed": True, "msg": message}
